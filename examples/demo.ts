/**
 * `npm run demo [-- --keep] [-- --name BED]`: a real Swarm of three nodes on this machine, a bank whose total must never change, a snapshot
 * under load, a restore on other nodes after the stack is gone, a live migration, and the verdict of the bank's checker.
 * Exit code 0 only if everything went well.
 */
import { parseArgs } from 'node:util';
import { TestbedError, claimBed, down, up } from './testbed/index.ts';
import { CommandFailed, Stacks } from './demo/stacks.ts';
import { Story } from './demo/story.ts';
import type { BankCheck } from './demo/stacks.ts';
import { megabytes } from '../src/model/size.ts';

const STACK = 'bank';

interface SnapshotAnswer {
  readonly id: string;
  readonly algorithm: string;
  readonly wallMs: number;
  readonly sizeBytes: number;
  readonly tasks: readonly { service: string; slot: string; node: string; frozenMs?: number; sizeBytes: number }[];
}

interface VerifyAnswer {
  readonly ok: boolean;
  readonly verifiedBytes: number;
}

interface ChannelsAnswer {
  readonly channels: readonly { inFlightBytes: number | null }[];
}

interface RestoreAnswer {
  readonly wallMs: number;
  readonly tasks: readonly { service: string; slot: string; node: string; fetchedBytes: number }[];
}

interface MigrateAnswer {
  readonly wallMs: number;
  readonly downtimeMs: number;
  readonly tasks: readonly { service: string; slot: string; from: string; to: string; bytes: number }[];
}

async function play(story: Story, stacks: Stacks): Promise<void> {
  story.chapter('A real Docker Swarm of three nodes, on this machine alone');
  await up({ ...stacks.bed, nodes: 3 }, ({ message }) => story.detail(message));

  story.chapter('A bank: 4 tasks that send each other 8000 numbered transfers a second over TCP, never stopping');
  await story.step('docker stack deploy -c examples/bank/compose.yaml bank', () => stacks.deploy(STACK));
  await story.step('waiting for the bank to be busy', () => busy(stacks, 20_000));
  await showPlaces(story, stacks);

  story.chapter('A snapshot, under load');
  const snapshot = await story.step('coordinator snapshot bank', () =>
    stacks.coordinate<SnapshotAnswer>(['snapshot', STACK]),
  );
  for (const task of snapshot.tasks) {
    const frozen = task.frozenMs === undefined ? '' : `, frozen for ${ms(task.frozenMs)}`;
    story.detail(`${task.service}.${task.slot} on ${task.node}: ${megabytes(task.sizeBytes)}${frozen}`);
  }
  story.detail(
    `snapshot ${snapshot.id} (${snapshot.algorithm}): ${megabytes(snapshot.sizeBytes)} in ${ms(snapshot.wallMs)}`,
  );
  story.print(await stacks.must('n1', ['coordinator', 'inspect', snapshot.id, '--channels']));
  const verified = await story.step('coordinator verify latest', () =>
    stacks.coordinate<VerifyAnswer>(['verify', snapshot.id]),
  );
  const { channels } = await stacks.coordinate<ChannelsAnswer>(['inspect', snapshot.id, '--channels']);
  const inFlight = channels.reduce((sum, { inFlightBytes }) => sum + (inFlightBytes ?? 0), 0);
  story.detail(
    `${megabytes(verified.verifiedBytes)} read again, all hashes right; ${channels.length} channels: nothing lost, ` +
      `nothing received that was not sent; ${inFlight} bytes were on their way`,
  );
  const atSnapshot = await story.step('the bank runs on meanwhile', () => audit(stacks));
  story.detail(figures(atSnapshot));

  story.chapter('The stack is removed, and comes back on other nodes');
  const before = await stacks.tasks(STACK);
  await story.step('docker stack rm bank, and every volume of it', () => stacks.remove(STACK, { volumes: true }));
  const targets = before.map(({ service, node }) => [service, stacks.nodes[(stacks.nodes.indexOf(node) + 1) % 3]]);
  const to = [...new Map(targets as [string, string][])].flatMap(([service, node]) => ['--to', `${service}=${node}`]);
  const restored = await story.step(`coordinator restore ${snapshot.id} ${to.join(' ')}`, () =>
    stacks.coordinate<RestoreAnswer>(['restore', snapshot.id, ...to]),
  );
  const fetched = restored.tasks.reduce((sum, task) => sum + task.fetchedBytes, 0);
  story.detail(`${restored.tasks.length} tasks in ${ms(restored.wallMs)}, ${megabytes(fetched)} between the nodes`);
  await showPlaces(story, stacks);
  const afterRestore = await story.step('the checker reads all books', () => audit(stacks));
  story.detail(figures(afterRestore));

  story.chapter('One service moves to another node while it works');
  const mover = await stacks.task(STACK, 'branch-a');
  const target = stacks.nodes.find((node) => node !== mover.node) ?? 'n1';
  const migrated = await story.step(`coordinator migrate bank_branch-a --to ${target}`, () =>
    stacks.coordinate<MigrateAnswer>(['migrate', 'bank_branch-a', '--to', target]),
  );
  for (const task of migrated.tasks) {
    story.detail(`${task.service}.${task.slot}: ${task.from} → ${task.to}, ${megabytes(task.bytes)}`);
  }
  story.detail(`it stood still for ${ms(migrated.downtimeMs)} of ${ms(migrated.wallMs)}`);
  await busy(stacks, afterRestore.transfers + 5000);
  const verdict = await story.step('the checker reads all books again', () => audit(stacks, afterRestore));
  story.chapter('The verdict');
  story.good(figures(verdict));
}

/** Waits until so many transfers have been made. */
async function busy(stacks: Stacks, transfers: number): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const status = await stacks.checkBank(STACK, ['--status']);
    if (status.violations.length > 0)
      throw new CommandFailed(`the bank is not in order: ${status.violations.join('; ')}`);
    if (status.transfers >= transfers) return;
    if (performance.now() > deadline) throw new CommandFailed(`the bank stands still at ${status.transfers} transfers`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** @throws CommandFailed with the checker's words unless everything is in order */
async function audit(stacks: Stacks, notBefore?: BankCheck): Promise<BankCheck> {
  const check = await stacks.checkBank(STACK, ['--timeout', '30000'], notBefore === undefined ? {} : { notBefore });
  if (check.exitCode === 0) return check;
  throw new CommandFailed(`the checker is not content: ${check.unreachable ?? check.violations.join('; ')}`);
}

async function showPlaces(story: Story, stacks: Stacks): Promise<void> {
  const tasks = await stacks.tasks(STACK);
  story.detail(tasks.map(({ service, slot, node }) => `${service}.${slot} on ${node}`).join(', '));
}

function figures(check: BankCheck): string {
  return (
    `bank: OK total=${check.total} accounts=${check.accounts} transfers=${check.transfers} ` +
    `missing=${check.missing} duplicate=${check.duplicate}`
  );
}

function ms(value: number): string {
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(2)} s`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { keep: { type: 'boolean', default: false }, name: { type: 'string', default: 'demo' } },
  });
  const story = new Story();
  const stacks = new Stacks(values.name);
  try {
    // Until this process ends.
    await claimBed(stacks.bed, 'npm run demo');
  } catch (error) {
    if (!(error instanceof TestbedError)) throw error;
    story.bad(error.message);
    return 1;
  }
  // What a demo that was killed has left behind would only confuse this one.
  await down(stacks.bed, ({ message, level }) => level === 'warning' && story.detail(message));
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      // Not `once`: execa's own handler would then find itself alone, and end the process before anything is cleaned up.
      process.on(signal, () => reject(new CommandFailed(`${signal}: ended before its end`)));
    }
  });
  let exitCode = 0;
  try {
    await Promise.race([play(story, stacks), interrupted]);
  } catch (error) {
    exitCode = 1;
    const known = error instanceof CommandFailed || error instanceof TestbedError;
    story.bad(known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  if (values.keep) {
    story.keep(values.name);
  } else {
    await story.step('cleaning up', () => down(stacks.bed));
  }
  return exitCode;
}

// A step that was overtaken by Ctrl-C must not keep the process, or fail it once more.
process.on('unhandledRejection', () => undefined);
process.exit(await main());
