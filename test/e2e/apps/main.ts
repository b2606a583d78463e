/**
 * `npm run test:apps`: known applications under load (examples/apps) on a real test bed, application by algorithm by operation. What has been run is kept in
 * test/e2e/apps/results.json, so that single runs can be added; docs/programs/applications.md is made from it.
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { addImages, down, listBeds, up } from '../../../examples/testbed/index.ts';
import type { Progress } from '../../../examples/testbed/index.ts';
import { versionsOn } from '../records/versions.ts';
import { ALGORITHMS, APPS } from './catalogue.ts';
import { added, keyOf, readResults, tables, writeResults } from './results.ts';
import { runApp } from './run.ts';

const HELP = `npm run test:apps [-- options]
  --app a,b          only these (${APPS.map(({ id }) => id).join(', ')})
  --algorithm a,b    only these (${ALGORITHMS.join(', ')})
  --operations N     so many of each kind (5): snapshot, rollback, restore elsewhere, migration and back
  --anew             former results of these do not count any more; else they add up
  --missing          only what has no result yet
  --table            only make the table of docs/programs/applications.md anew
  --dry              do not write results
SWARMCUT_BED names the test bed (apps); one that is up stays up.
`;

const { values } = parseArgs({
  options: {
    app: { type: 'string' },
    algorithm: { type: 'string' },
    operations: { type: 'string', default: '5' },
    missing: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
    anew: { type: 'boolean', default: false },
    dry: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const report = ({ message, elapsedMs }: Progress): void =>
  say(`[testbed ${(elapsedMs / 1000).toFixed(1)} s] ${message}`);
const wanted = (list: string | undefined, name: string): boolean =>
  list === undefined || list.split(',').includes(name);

async function main(): Promise<void> {
  if (values.help) {
    say(HELP);
    return;
  }
  const results = await readResults();
  if (values.table) return writeResults(results);
  const pairs = APPS.filter(({ id }) => wanted(values.app, id)).flatMap((app) =>
    ALGORITHMS.filter(
      (algorithm) =>
        wanted(values.algorithm, algorithm) && !(values.missing && results.rows[keyOf(app, algorithm)] !== undefined),
    ).map((algorithm) => ({ app, algorithm })),
  );
  if (pairs.length === 0) {
    say(`nothing is to be run\n${HELP}`);
    return;
  }

  const bed = process.env.SWARMCUT_BED ?? 'apps';
  const existed = (await listBeds()).some(({ name }) => name === bed);
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  try {
    await up({ name: bed, nodes: 3 }, report);
    results.versions = await versionsOn(bed);
    for (const { app, algorithm } of pairs) {
      say(`${app.title}, ${algorithm}`);
      try {
        await addImages({ name: bed }, app.images, report);
        const row = await runApp(app, algorithm, { bed, commit, say, times: Number(values.operations) });
        if (Object.values(row.operations).some(({ green, all }) => green < all)) process.exitCode = 1;
        results.rows[keyOf(app, algorithm)] = values.anew ? row : added(results.rows[keyOf(app, algorithm)], row);
        if (!values.dry) await writeResults(results);
      } catch (error) {
        process.exitCode = 1;
        say(`${app.title} did not run: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      }
    }
  } finally {
    if (!existed) await down({ name: bed });
  }
  process.stdout.write(`${tables(results)}\n`);
}

await main();
