import { Command } from 'commander';
import { nearest } from '../../../src/model/near.ts';
import { assertStackName } from '../../../src/model/stack-name.ts';
import type { CatalogueEntry } from '../../../src/storage/catalogue.ts';
import { gatheredCatalogue } from '../catalogue.ts';
import { globalOptionsOf } from '../options.ts';
import { ageText, bytesText, durationText, paint, say, sayJson, table } from '../output/output.ts';
import { frozenMs, snapshotBytes } from '../output/sizes.ts';

/** `coordinator list [stack]`. */
export function listCommand(): Command {
  return new Command('list')
    .alias('ls')
    .description('the snapshots there are, newest first')
    .argument('[stack]', 'only those of this stack')
    .addHelpText(
      'after',
      `
Examples:
  coordinator list
  coordinator list bank --json | jq -r '.[].id'`,
    )
    .action(async (stack: string | undefined, _options: unknown, command: Command) => {
      const { json } = globalOptionsOf(command);
      if (stack !== undefined) assertStackName(stack);
      const all = await (await gatheredCatalogue(command)).list();
      // Whose a damaged one is cannot be known: it is always shown.
      const shown = all.filter((entry) => stack === undefined || 'error' in entry || entry.manifest.stack === stack);
      if (json) sayJson(shown.map(jsonOf));
      else if (shown.length > 0) say(text(shown, new Date()));
      else say(noneText(stack, all));
    });
}

function jsonOf(entry: CatalogueEntry): unknown {
  if ('error' in entry) return { id: entry.id, damaged: entry.error.message };
  const { manifest, vouching } = entry;
  return {
    id: manifest.id,
    stack: manifest.stack,
    algorithm: manifest.algorithm,
    epoch: manifest.epoch,
    ...(manifest.migration === undefined ? {} : { migration: manifest.migration }),
    committedAt: manifest.committedAt,
    wallMs: manifest.wallMs,
    tasks: manifest.tasks.length,
    nodes: [...new Set(manifest.tasks.map((task) => task.node))].sort(),
    sizeBytes: snapshotBytes(manifest),
    signature: vouching.state,
    encrypted: manifest.encryption !== undefined,
  };
}

const SIGNATURE_WORDS = {
  unsigned: 'unsigned',
  wrong: 'signature does not match',
  unknown: 'signature not checked',
} as const;

function text(entries: readonly CatalogueEntry[], now: Date): string {
  const rows = entries.map((entry) => {
    if ('error' in entry) return [entry.id, paint('red', 'damaged'), '', '', '', '', '', ''];
    const { manifest, vouching } = entry;
    const longest = Math.max(0, ...manifest.tasks.map(({ times }) => frozenMs(times) ?? 0));
    return [
      manifest.id,
      manifest.stack,
      // What the tasks were that a migration was to move: kept while it is under way, and if it has lost them.
      manifest.migration === true ? 'migration' : manifest.algorithm,
      String(manifest.tasks.length),
      bytesText(snapshotBytes(manifest)),
      durationText(longest),
      ageText(new Date(manifest.committedAt), now),
      [
        vouching.state === 'signed' ? 'signed' : paint('red', SIGNATURE_WORDS[vouching.state]),
        ...(manifest.encryption === undefined ? [] : ['encrypted']),
      ].join(', '),
    ];
  });
  const damaged = entries.flatMap((entry) => ('error' in entry ? [paint('red', entry.error.message)] : []));
  return [table(['ID', 'STACK', 'ALGORITHM', 'TASKS', 'SIZE', 'FROZEN', 'TAKEN', 'MANIFEST'], rows), ...damaged].join(
    '\n',
  );
}

function noneText(stack: string | undefined, all: readonly CatalogueEntry[]): string {
  if (stack === undefined) return 'no snapshots yet: take one with `coordinator snapshot <stack>`';
  const stacks = new Set(all.flatMap((entry) => ('manifest' in entry ? [entry.manifest.stack] : [])));
  const near = nearest(stack, [...stacks]);
  return `no snapshots of ${stack}${near.length > 0 ? `; did you mean ${near.join(' or ')}?` : ''}`;
}
