import { Command, Option } from 'commander';
import { taskKey } from '../../../src/model/task.ts';
import type { RestoreReport } from '../../operations/index.ts';
import { runOperation } from '../context.ts';
import { gatheredCatalogue } from '../catalogue.ts';
import { addEncryptionOptions, collect, globalOptionsOf, parseDuration } from '../options.ts';
import { bytesText, durationText, say, sayJson, table } from '../output/output.ts';

interface Options {
  to: string[];
  timeout?: number;
  external?: 'close' | 'refuse';
  allowUnsigned?: true;
}

/** `coordinator restore <snapshot>`. */
export function restoreCommand(): Command {
  return addEncryptionOptions(new Command('restore'))
    .description('put a stack back to a snapshot, on the same or on other nodes')
    .argument('<snapshot>', 'id or its beginning, `latest`, or `latest:<stack>`')
    .addOption(
      new Option('--to <where>', 'where to: `node`, or `service=node`; may be repeated (default: where Swarm likes)')
        .argParser(collect)
        .default([], 'none'),
    )
    .option('--timeout <duration>', 'give up after this time, e.g. 2m', parseDuration)
    .addOption(
      new Option('--external <rule>', 'connections out of the snapshot: reset them, or refuse to restore').choices([
        'close',
        'refuse',
      ]),
    )
    .option(
      '--allow-unsigned',
      'also when no coordinator of this authority has signed the manifest, or not as it is now',
    )
    .addHelpText(
      'after',
      `
The stack goes back to the moment of the snapshot: memory, files, volumes and open connections. Services that were removed
are created again. All tasks or none: if one fails, the stack is left (or put back) as it was.
Before anything is touched, the manifest's signature is checked, and it must say what the nodes recorded. Exit code 7 when not.
An encrypted snapshot needs the key that it was encrypted with. Exit code 6 without it.

Examples:
  coordinator restore latest:bank
  coordinator restore 2rg8 --to n3
  coordinator restore 2rg8 --to bank_branch-a=n2 --to bank_branch-b=n3`,
    )
    .action(async (snapshot: string, options: Options, command: Command) => {
      const { json } = globalOptionsOf(command);
      const stored = await (await gatheredCatalogue(command)).resolve(snapshot);
      const { manifest } = stored;
      const { restoreSnapshot } = await import('../../operations/index.ts');
      const report = await runOperation(command, `restore of ${manifest.stack} from ${manifest.id}`, (ctx) =>
        restoreSnapshot(ctx, stored, {
          to: options.to,
          allowUnsigned: options.allowUnsigned ?? false,
          ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
          ...(options.external === undefined ? {} : { external: options.external }),
        }),
      );
      if (json) sayJson(report);
      else say(text(report));
    });
}

function text(report: RestoreReport): string {
  const rows = report.tasks.map((task) => [
    taskKey(task),
    task.node,
    task.containerId.slice(0, 12),
    durationText(task.restoreMs),
    bytesText(task.fetchedBytes),
  ]);
  const lines = [
    table(['TASK', 'NODE', 'CONTAINER', 'RESTORE', 'FETCHED'], rows),
    `restored ${report.stack} from ${report.snapshot} in ${durationText(report.wallMs)}`,
  ];
  if (report.downtimeMs > 0) lines.push(`downtime ${durationText(report.downtimeMs)}`);
  if (report.closedConnections > 0) {
    lines.push(`${report.closedConnections} connections out of the snapshot were reset; their peers connect again`);
  }
  return lines.join('\n');
}
