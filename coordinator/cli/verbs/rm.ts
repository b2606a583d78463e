import { Command } from 'commander';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { gatheredCatalogue } from '../catalogue.ts';
import { runOperation } from '../context.ts';
import { globalOptionsOf, parseDuration } from '../options.ts';
import { say, sayJson } from '../output/output.ts';

/** `coordinator rm <snapshot…>`. */
export function rmCommand(): Command {
  return new Command('rm')
    .description('remove snapshots, here and on the nodes')
    .argument('[snapshots...]', 'ids or their beginnings, `latest`, or `latest:<stack>`')
    .option('--older-than <age>', 'all that are older, e.g. 7d', parseDuration)
    .addHelpText(
      'after',
      `
Asks nothing. Parts that other snapshots use stay.

Examples:
  coordinator rm 2rg8 2rh1
  coordinator rm --older-than 7d`,
    )
    .action(async (snapshots: string[], options: { olderThan?: number }, command: Command) => {
      const { json } = globalOptionsOf(command);
      const catalogue = await gatheredCatalogue(command);
      if (snapshots.length === 0 && options.olderThan === undefined) {
        throw new SwarmcutError('usage', 'nothing to remove', { advice: 'give ids, or --older-than <age>' });
      }
      // All are found before any is removed: a typing error in the last one must not leave half the work done.
      const ids = new Set<string>();
      for (const text of snapshots) ids.add(await catalogue.resolveId(text));
      if (options.olderThan !== undefined) {
        const before = Date.now() - options.olderThan;
        for (const entry of await catalogue.list()) {
          if ('manifest' in entry && Date.parse(entry.manifest.committedAt) < before) ids.add(entry.id);
        }
      }
      const { removeSnapshot } = await import('../../operations/index.ts');
      for (const id of ids) {
        await runOperation(command, `removal of ${id}`, (ctx) => removeSnapshot(ctx, id));
        if (!json) say(`removed ${id}`);
      }
      if (json) sayJson({ removed: [...ids] });
      else if (ids.size === 0) say('nothing is that old');
    });
}
