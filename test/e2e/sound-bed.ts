/**
 * Before each file of end-to-end tests (vitest's setup file): the bed is as a fresh one, or is made anew. So what one file has broken is
 * that file's fault alone. A bed that was there before the run belongs to somebody: it is used as it is.
 */
import { beforeAll, inject } from 'vitest';
import { down, up } from '../../examples/testbed/index.ts';
import { Stacks } from '../../examples/demo/stacks.ts';
import { bedUnderTest, BED_NODES, printProgress } from './bed.ts';

/** Longest time for a bed to be taken down and brought up, milliseconds; 40-60 s were seen. */
const ANEW_TIMEOUT_MS = 600_000;

/** Why the bed is not as a fresh one; undefined if it is. */
async function spoiltBy(stacks: Stacks): Promise<string | undefined> {
  const nodes = await stacks.run('n1', [
    'docker',
    'node',
    'ls',
    '--format',
    '{{.Hostname}} {{.Status}} {{.Availability}}',
  ]);
  const ready = nodes.stdout.split('\n').filter((line) => line.endsWith(' Ready Active'));
  if (ready.length !== stacks.nodes.length)
    return `of the nodes only these are ready: ${ready.join(', ')} ${nodes.stderr}`;
  const services = await stacks.run('n1', ['docker', 'service', 'ls', '--format', '{{.Name}}']);
  if (services.exitCode !== 0 || services.stdout !== '') return `services: ${services.stdout}${services.stderr}`;
  const checked = await stacks.coordinator<{ node: string; error?: string }[]>(['check']);
  const silent = checked.result?.filter(({ error }) => error !== undefined);
  if (silent === undefined) return `agents: ${checked.stderr}`;
  if (silent.length > 0) return `agents: ${JSON.stringify(silent)}`;
  const left = await stacks.coordinator<{ items: object[] }>(['check', '--repair', '--dry-run']);
  if (left.exitCode === 0) return undefined;
  return `leftovers: ${left.result === undefined ? left.stderr : JSON.stringify(left.result)}`;
}

beforeAll(async () => {
  const name = bedUnderTest();
  if (!inject('bedIsOurs')) return;
  const why = await spoiltBy(new Stacks(name));
  if (why === undefined) return;
  process.stderr.write(`[testbed] what ran before has left the bed spoilt, it is made anew: ${why}\n`);
  await down({ name }, printProgress);
  await up({ name, nodes: BED_NODES }, printProgress);
}, ANEW_TIMEOUT_MS);
