import { Command } from 'commander';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { RekeyReport } from '../../operations/rekey.ts';
import { gatheredCatalogue, sharedWithAgents } from '../catalogue.ts';
import { addEncryptionOptions, encryptionOptionsOf, globalOptionsOf } from '../options.ts';
import { paint, say, sayJson } from '../output/output.ts';

interface Options {
  all?: true;
  oldKeyFile?: string;
  oldPassphraseFile?: string;
}

/** `coordinator rekey <snapshot…>`. */
export function rekeyCommand(): Command {
  return addEncryptionOptions(new Command('rekey'))
    .description('give encrypted snapshots another key; their parts stay as they are')
    .argument('[snapshots...]', 'ids or their beginnings, `latest`, or `latest:<stack>`')
    .option('--all', 'all snapshots there are')
    .option('--old-key-file <file>', 'the key that they have now')
    .option('--old-passphrase-file <file>', 'the passphrase that they have now')
    .addHelpText(
      'after',
      `
The new key is the one that snapshots are encrypted with: --encrypt-key-file, --encrypt-passphrase-file, or the file in the configuration.
Only the wrapped keys of the snapshots are written again, one after another: it can be broken off and done again.

Examples:
  coordinator rekey --all --old-key-file /root/encrypt.key.old
  coordinator rekey latest:bank --old-passphrase-file /root/old --encrypt-key-file /root/new`,
    )
    .action(async (snapshots: string[], options: Options, command: Command) => {
      const { directories, json } = globalOptionsOf(command);
      const { all, oldKeyFile, oldPassphraseFile } = options;
      if ((all === true) === snapshots.length > 0)
        throw new SwarmcutError('usage', 'give ids, or --all', { advice: '`coordinator list` shows what there is' });
      if ((oldKeyFile === undefined) === (oldPassphraseFile === undefined))
        throw new SwarmcutError('usage', 'give the old key: --old-key-file or --old-passphrase-file');
      const catalogue = await gatheredCatalogue(command);
      const ids = new Set<string>(all === true ? await catalogue.ids() : []);
      for (const text of snapshots) ids.add(await catalogue.resolveId(text));
      const { rekeySnapshots } = await import('../../operations/rekey.ts');
      const report = await rekeySnapshots([...ids], {
        directories,
        encryption: encryptionOptionsOf(command),
        old: {
          ...(oldKeyFile === undefined ? {} : { keyFile: oldKeyFile }),
          ...(oldPassphraseFile === undefined ? {} : { passphraseFile: oldPassphraseFile }),
        },
      });
      const wrapped = [...report.rewrapped, ...report.unchanged];
      if (wrapped.length > 0) await sharedWithAgents(command, wrapped);
      if (json) sayJson({ ...report, failed: report.failed.map(({ id, error }) => ({ id, error: error.message })) });
      else say(text(report));
      const [first] = report.failed;
      if (first !== undefined) process.exitCode = first.error.exitCode;
    });
}

function text({ keyId, rewrapped, unchanged, plain, failed }: RekeyReport): string {
  const lines = [
    ...rewrapped.map((id) => `snapshot ${id} has key ${keyId} now`),
    ...failed.map(({ error }) => paint('red', error.message)),
  ];
  const counts = [
    `${rewrapped.length} of ${rewrapped.length + failed.length} rewrapped`,
    ...(unchanged.length === 0 ? [] : [`${unchanged.length} had key ${keyId} already`]),
    ...(plain.length === 0 ? [] : [`${plain.length} not encrypted`]),
  ];
  return [...lines, counts.join(', ')].join('\n');
}
