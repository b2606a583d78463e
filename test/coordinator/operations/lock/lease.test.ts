import { beforeEach, describe, expect, test } from 'vitest';
import {
  InDoubtError,
  LEASE_MS,
  LockLostError,
  RENEW_MS,
  acquireLease,
  type AcquireOptions,
  type Lease,
} from '../../../../coordinator/operations/lock/lease.ts';
import { fromRecord, type LockState } from '../../../../coordinator/operations/lock/state.ts';
import { SwarmcutError } from '../../../../src/model/errors.ts';
import { FakeManager, FakeRaft, FakeTime } from './fake-raft.ts';

const NAME = 'stack-bank';

let time: FakeTime;
let raft: FakeRaft;
beforeEach(() => {
  time = new FakeTime();
  raft = new FakeRaft();
});

interface Coordinator {
  readonly manager: FakeManager;
  /** What it was told while it waited. */
  readonly told: string[];
  acquire(changes?: Partial<AcquireOptions>): Promise<Lease>;
}

/** A coordinator on a manager of its own. */
function coordinator(node: string): Coordinator {
  const manager = new FakeManager(raft);
  const told: string[] = [];
  let count = 0;
  const acquire = (changes: Partial<AcquireOptions> = {}): Promise<Lease> => {
    const id = `${node}-${++count}`;
    const lease = acquireLease({
      records: manager,
      name: NAME,
      holder: {
        nonce: id,
        node,
        nodeId: `id-${node}`,
        machine: node,
        pid: 1,
        started: '1',
        command: 'restore',
        id,
        since: 'then',
      },
      time,
      signal: new AbortController().signal,
      waitMs: 0,
      isGone: () => false,
      onSilence: (holder, atMostMs) => told.push(`${holder.id} is silent: ${atMostMs} ms at most`),
      refusal: (holder) => new SwarmcutError('conflict', `${holder.id} on ${holder.node} has it`),
      ...changes,
    });
    lease.catch(() => undefined);
    return lease;
  };
  return { manager, told, acquire };
}

const written = (): LockState => fromRecord(raft.get(NAME)?.value ?? {});
const journal = (text: string) => (state: LockState) => ({ ...state, journal: text });

/** What became of it, if something has. */
async function outcomeOf<T>(promise: Promise<T>): Promise<T | Error | 'open'> {
  return Promise.race([promise.catch((error: unknown) => error as Error), time.pass(0).then(() => 'open' as const)]);
}

describe('a lock among managers', () => {
  test('two want it at the same moment: one has it, the other is refused by name', async () => {
    const [a, b] = [coordinator('n1'), coordinator('n2')];
    const both = [a.acquire(), b.acquire()];
    await time.pass(2 * RENEW_MS);
    const results = await Promise.allSettled(both);
    const [winner] = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const [refused] = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
    const { node } = winner?.state.holder ?? { node: '' };
    expect(refused?.message).toBe(`${node}-1 on ${node} has it`);
    expect(written().holder?.node).toBe(node);
  });

  test('is renewed for as long as it takes, and is free at once when it is given back', async () => {
    const [a, b] = [coordinator('n1'), coordinator('n2')];
    const lease = await a.acquire();
    await lease.update(journal('left'));
    await time.pass(5 * LEASE_MS);
    const second = b.acquire();
    await time.pass(2 * RENEW_MS);
    expect(await outcomeOf(second)).toMatchObject({ code: 'conflict' });
    await lease.release();
    const next = await b.acquire();
    expect(next.state).toMatchObject({ holder: { node: 'n2' }, journal: 'left' });
    expect(next.token).toBeGreaterThan(lease.token);
    // What the first one still has to say is worth nothing.
    await expect(lease.update(journal('late'))).rejects.toThrow(LockLostError);
    expect(written().journal).toBe('left');
  });

  test('of one that is gone is had when it has not changed for its whole lease; who waits is told for how long', async () => {
    const [a, b] = [coordinator('n1'), coordinator('n2')];
    const lease = await a.acquire();
    await time.pass(3 * RENEW_MS);
    a.manager.standStill();
    const taking = b.acquire();
    await time.pass(LEASE_MS);
    expect(await outcomeOf(taking)).toBe('open');
    await time.pass(LEASE_MS / 5);
    expect((await taking).token).toBeGreaterThan(lease.token);
    expect(b.told).toEqual([expect.stringMatching(/^n1-1 is silent: 1[0-9]{4} ms at most$/)]);
  });

  test('of one that is known to be gone is had at once', async () => {
    const [a, b] = [coordinator('n1'), coordinator('n1')];
    await a.acquire();
    a.manager.standStill();
    const lease = await b.acquire({ isGone: ({ node }) => node === 'n1', holder: { ...b2(), nonce: 'another' } });
    expect(written().holder?.nonce).toBe('another');
    expect(lease.lost.aborted).toBe(false);
  });

  const b2 = () => ({
    node: 'n1',
    nodeId: 'id-n1',
    machine: 'n1',
    pid: 2,
    started: '2',
    command: 'recovery',
    id: 'b2',
    since: 'now',
  });

  test('is waited for, if asked, for as long as its holder lives', async () => {
    const [a, b] = [coordinator('n1'), coordinator('n2')];
    const lease = await a.acquire();
    const waiting = b.acquire({ waitMs: 60_000 });
    await time.pass(30_000);
    expect(await outcomeOf(waiting)).toBe('open');
    await lease.release();
    await time.pass(200);
    expect((await waiting).state.holder?.node).toBe('n2');
  });

  test('no manager can be heard while a leader is chosen: that silence is nobody’s fault', async () => {
    const [a, b] = [coordinator('n1'), coordinator('n2')];
    const lease = await a.acquire();
    const taking = b.acquire();
    await time.pass(500);
    [a.manager.away, b.manager.away] = [true, true];
    await time.pass(LEASE_MS * 1.5);
    [a.manager.away, b.manager.away] = [false, false];
    await time.pass(3 * RENEW_MS);
    expect(await outcomeOf(taking)).toMatchObject({ code: 'conflict' });
    await lease.sure();
    expect(lease.lost.aborted).toBe(false);
  });
});

describe('a holder that stands still for longer than its lease', () => {
  test('and comes back when another has taken over: it writes nothing, and knows', async () => {
    const [a, b] = [coordinator('n1'), coordinator('n2')];
    const lease = await a.acquire();
    await lease.update(journal('replacing'));
    a.manager.standStill();
    // This one is on its way when everything stops, and arrives when all is over.
    const commit = lease.update(journal('released'));
    commit.catch(() => undefined);
    const taking = b.acquire();
    await time.pass(2 * LEASE_MS);
    await (await taking).update(journal('rolled back'));
    a.manager.goOn();
    await time.pass(0);
    expect(await outcomeOf(commit)).toBeInstanceOf(LockLostError);
    await expect(lease.sure()).rejects.toThrow(/no longer has the lock stack-bank: a restore \(id n2-1\) on node n2/);
    expect(lease.lost.aborted).toBe(true);
    await lease.release();
    expect(written()).toMatchObject({ holder: { node: 'n2' }, journal: 'rolled back' });
  });

  test('and had written before it was taken over without hearing of it: it does not say that nothing is written', async () => {
    const [a, b] = [coordinator('n1'), coordinator('n2')];
    const lease = await a.acquire();
    [a.manager.deaf, a.manager.blind] = [true, Number.POSITIVE_INFINITY];
    const commit = lease.update(journal('released'));
    commit.catch(() => undefined);
    await time.pass(0);
    const taking = b.acquire();
    await time.pass(2 * LEASE_MS);
    expect((await taking).state.journal).toBe('released');
    a.manager.blind = 0;
    await time.pass(RENEW_MS);
    expect(await outcomeOf(commit)).toBeInstanceOf(InDoubtError);
    expect(lease.lost.reason).toBeInstanceOf(LockLostError);
    await expect(lease.update(journal('late'))).rejects.toThrow(LockLostError);
  });

  test('and comes back when nobody has taken over: it makes sure, and goes on', async () => {
    const a = coordinator('n1');
    const lease = await a.acquire();
    a.manager.standStill();
    await time.pass(3 * LEASE_MS);
    const sure = lease.sure();
    expect(await outcomeOf(sure)).toBe('open');
    a.manager.goOn();
    await time.pass(RENEW_MS);
    await sure;
    await lease.update(journal('on'));
    expect(written().journal).toBe('on');
  });

  test('takes no step meanwhile, and gives up when it cannot find out', async () => {
    const a = coordinator('n1');
    const lease = await a.acquire();
    a.manager.away = true;
    await time.pass(LEASE_MS - 6_000);
    await lease.sure();
    await time.pass(2_000);
    const step = lease.sure();
    expect(await outcomeOf(step)).toBe('open');
    await time.pass(2 * 60_000);
    expect(await outcomeOf(step)).toBeInstanceOf(InDoubtError);
  });
});

describe('a change whose answer is lost', () => {
  test('is seen to be written, once', async () => {
    const a = coordinator('n1');
    const lease = await a.acquire();
    a.manager.deaf = true;
    await lease.update((state) => ({ ...state, epoch: state.epoch + 1 }));
    expect(lease.state.epoch).toBe(1);
    expect(written().epoch).toBe(1);
  });

  test('and of which nothing can be learned is in doubt; what is written afterwards does not undo it', async () => {
    const a = coordinator('n1');
    const lease = await a.acquire();
    [a.manager.deaf, a.manager.blind] = [true, 10_000];
    const commit = lease.update(journal('released'));
    await time.pass(120_000);
    expect(await outcomeOf(commit)).toBeInstanceOf(InDoubtError);
    expect(written().journal).toBe('released');
    [a.manager.deaf, a.manager.blind] = [false, 0];
    const released = lease.release();
    await time.pass(1_000);
    await released;
    expect(written()).toMatchObject({ holder: undefined, journal: 'released' });
  });

  test('of the acquisition itself is no other one’s lock', async () => {
    const a = coordinator('n1');
    a.manager.deaf = true;
    const lease = await a.acquire();
    expect(lease.state.holder?.node).toBe('n1');
  });
});

test('a record that was removed by hand is a lock that is lost', async () => {
  const a = coordinator('n1');
  const lease = await a.acquire();
  raft.records.delete(NAME);
  await time.pass(2 * RENEW_MS);
  expect(lease.lost.aborted).toBe(true);
});

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test.each(Array.from({ length: 15 }, (_, seed) => seed))(
  'whatever happens, nobody writes, or is sure of the lock, after another has taken over (seed %i)',
  async (seed) => {
    const next = random(seed);
    const steps: { token: number; what: string }[] = [];
    const managers: FakeManager[] = [];
    let over = false;
    const isOver = (): boolean => over;
    const work = async (node: string): Promise<void> => {
      const own = coordinator(node);
      managers.push(own.manager);
      while (!isOver()) {
        try {
          const lease = await own.acquire({ waitMs: 5_000 });
          steps.push({ token: lease.token, what: 'acquired' });
          for (let left = Math.floor(next() * 5); left > 0; left--) {
            await lease.sure();
            steps.push({ token: lease.token, what: 'sure' });
            await lease.update(journal(String(lease.token)));
            await time.pause(next() * 10_000);
          }
          if (next() < 0.7) await lease.release();
          else lease.release().catch(() => undefined);
        } catch {
          await time.pause(1_000);
        }
      }
    };
    const all = ['n1', 'n2', 'n3'].map(work);
    for (let minute = 0; minute < 6; minute++) {
      for (const manager of managers) {
        const fate = next();
        if (fate < 0.15) manager.standStill();
        else manager.goOn();
        manager.away = fate > 0.9;
        manager.deaf = fate > 0.75 && fate < 0.9;
      }
      await time.pass(20_000 + next() * 30_000);
    }
    over = true;
    for (const manager of managers) {
      manager.goOn();
      [manager.away, manager.deaf] = [false, false];
    }
    await time.pass(200_000);
    await Promise.all(all);
    const tokens = steps.map(({ token }) => token);
    expect(tokens.length).toBeGreaterThan(10);
    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
    const journals = raft.history.map((value) => Number(fromRecord(value).journal ?? 0));
    expect(journals).toEqual(journals.toSorted((a, b) => a - b));
  },
);
