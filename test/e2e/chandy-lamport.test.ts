import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  PATIENCE_MS,
  agentsAnswer,
  deployBank,
  expectNoTraces,
  expectSoundBank,
  freezeOn,
  goOnAndCheck,
  harmIn,
  inFlight,
  killer,
  migrate,
  others,
  placement,
  restore,
  snapshot,
  stacks,
  startCoordinator,
  waitFor,
} from './harness.ts';
import type { VerifyReport } from './harness.ts';

/** Snapshots in a row, each of them restored. `npm run test:rounds` makes 50, which take a quarter of an hour on two cores. */
const ROUNDS = Number(process.env.SWARMCUT_ROUNDS ?? 6);

/**
 * The bank of bank.test.ts with a sidecar beside each task: four tasks, each connected with each other, eight hundred transfers a second, never
 * stopped but by the checker between two rounds. Its snapshots are restored in place and on other nodes by turns.
 */
describe('bank under load with chandy-lamport', () => {
  const taken: string[] = [];
  let recordedBytes = 0;

  beforeAll(async () => {
    await deployBank('chandy-lamport', 5000);
  });

  afterAll(async () => {
    await stacks.remove('bank', { volumes: true });
  });

  test('every connection between two tasks goes through sidecars', async () => {
    const all = await sidecars();
    expect(all).toHaveLength(4);
    // Six connections, each with two ends.
    expect(all.reduce((sum, { streams }) => sum + streams, 0)).toBe(12);
    for (const { alive, direct } of all) expect({ alive, direct }).toEqual({ alive: true, direct: [] });
  });

  test.for(Array.from({ length: ROUNDS }, (_, index) => index))('round %i', async (round) => {
    const before = await stacks.checkBank('bank', ['--status']);
    const { id } = await snapshot('bank');
    recordedBytes += (await inFlight(id)).recordedBytes;
    const where = await placement('bank');
    // In place: each task where it was. Otherwise the services move on to the next node, some with the stack and its volumes gone.
    const elsewhere = round % 2 === 1;
    if (round % 5 === 3) await stacks.remove('bank', { volumes: true });
    const to = ['branch-a', 'branch-b', 'branch-c'].flatMap((service) => {
      const node = where[`${service}.1`] ?? 'n1';
      return ['--to', `${service}=${elsewhere ? others(node)[round % 4 === 1 ? 0 : 1] : node}`];
    });
    const report = await restore(id, ...to);
    expect(report).toMatchObject({ stack: 'bank', snapshot: id, closedConnections: 0 });
    await goOnAndCheck('bank', before);
    taken.push(id);
  });

  test('some channel had bytes in flight, or the rounds prove nothing', () => {
    expect(recordedBytes).toBeGreaterThan(0);
  });

  test('one service moves while it works, and the others keep their connections to it', async () => {
    // Two tasks.
    const service = 'branch-b';
    const before = await stacks.checkBank('bank', ['--status']);
    const where = await placement('bank');
    await migrate(`bank_${service}`, '--to', others(where[`${service}.1`] ?? 'n1')[0]);
    await goOnAndCheck('bank', before);
  });

  test('what has moved can be snapshotted, encrypted with what its sidecars recorded, and restored in its turn', async () => {
    const before = await stacks.checkBank('bank', ['--status']);
    await stacks.must('n1', ['sh', '-c', 'umask 077; head -c 32 /dev/urandom > /root/bank.key']);
    const key = ['--encrypt-key-file', '/root/bank.key'];
    const { id } = await snapshot('bank', ...key);
    const { channels } = await stacks.coordinate<{ channels: Channel[] }>(['inspect', id, '--channels']);
    const busy = channels.find(({ recorded, inFlightBytes }) => recorded && (inFlightBytes ?? 0) > 0);
    if (busy !== undefined) {
      const dump = ['inspect', id, '--dump', String(busy.number)];
      const { base64 } = await stacks.coordinate<{ base64: string }>([...dump, ...key]);
      expect(Buffer.from(base64, 'base64').length).toBe(busy.inFlightBytes);
      expect(await stacks.coordinator(dump)).toMatchObject({ exitCode: 6 });
    }
    await restore(id, ...key);
    await goOnAndCheck('bank', before);
    taken.push(id);
  });

  test('an agent that is killed in the middle of a cut starts again, and nothing is lost', async () => {
    const node = (await placement('bank'))['branch-c.1'] ?? '';
    const kill = await killer(node, 'agent');
    const frozen = freezeOn(node);
    const running = stacks.coordinator(['snapshot', 'bank']);
    await frozen;
    kill();
    expect((await running).exitCode).not.toBe(0);
    await agentsAnswer();
    await expectSoundBank();
    await expectNoTraces('bank');
  });

  test('a coordinator that is killed in the middle of a round leaves nothing blocked', async () => {
    const frozen = freezeOn((await placement('bank'))['branch-a.1'] ?? '');
    const coordinator = await startCoordinator(['snapshot', 'bank', '--freeze-timeout', '3s']);
    await frozen;
    coordinator.kill();
    await coordinator.ended;
    await expectNoTraces('bank', harmIn);
    await expectSoundBank();
    taken.push((await snapshot('bank')).id);
  });

  test('leaves snapshots that are sound, and no trace', async () => {
    for (const id of taken.slice(-3)) {
      expect(await stacks.coordinate<VerifyReport>(['verify', id])).toMatchObject({ ok: true, problems: [] });
    }
    await stacks.coordinate(['rm', ...taken]);
    await expectNoTraces('bank');
    await expectSoundBank();
  });

  test('a sidecar that is killed in the middle of a round: the round is given up, and another one comes', async () => {
    const node = (await placement('bank'))['branch-c.1'] ?? '';
    const frozen = freezeOn(node);
    const running = stacks.coordinator(['snapshot', 'bank']);
    await frozen;
    // What it carries is reset: the bank is of no use afterwards.
    await stacks.must(node, ['pkill', '-KILL', '-f', 'sidecar/main.js']);
    expect((await running).exitCode).not.toBe(0);
    await waitFor('new sidecars', async () => (await sidecars()).every(({ alive }) => alive), {
      timeoutMs: PATIENCE_MS,
    });
    expect(Math.max(...(await sidecars()).map(({ starts }) => starts))).toBeGreaterThan(1);
    await expectNoTraces('bank');
  });
});

interface Channel {
  readonly number: number;
  readonly recorded: boolean;
  readonly inFlightBytes: number | null;
}

interface SidecarRow {
  readonly alive: boolean;
  readonly streams: number;
  readonly starts: number;
  readonly direct: readonly unknown[];
}

async function sidecars(): Promise<readonly SidecarRow[]> {
  const found = await stacks.coordinate<{ sidecars: readonly SidecarRow[] }>(['attach', '--status', 'bank']);
  return found.sidecars;
}
