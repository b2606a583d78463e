import { SwarmcutError } from '../../../src/model/errors.ts';
import { pause } from '../../../src/platform/deadlines.ts';
import { acquireStackLock, type StackLock as LocalLock } from '../../../src/storage/locks.ts';
import type { Cluster } from '../../orchestrator/index.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { ClusterSession } from '../session/session.ts';
import { hasEndedHere, thisHolder } from './holder.ts';
import { STACK_RECORD } from './state.ts';
import { InDoubtError, acquireLease, type Lease, type LeaseTime } from './lease.ts';
import type { CommittedSnapshot, LockHolder } from './state.ts';

const LOCAL_RETRY_MS = 50;

/** Who wants a lock, and what for. */
export interface Work {
  /** `snapshot`, `restore`, `migration` … */
  readonly command: string;
  /** Of the snapshot, restore or migration. */
  readonly id: string;
  /** A lock that somebody has is waited for for so long. Default: not at all. Milliseconds. */
  readonly waitMs?: number;
}

/** What all managers know of a stack, while this command is the one that works on it. */
export class StackLock {
  readonly #lease: Lease;
  #inDoubt = false;

  constructor(lease: Lease) {
    this.#lease = lease;
  }

  /** As {@link Lease.sure}. */
  sure(): Promise<void> {
    return this.#lease.sure();
  }

  /** False when whatever was begun is somebody else's to finish or to undo: the lock is lost, or it is not known what was written last. */
  async isOurs(): Promise<boolean> {
    if (this.#inDoubt) return false;
    return this.sure().then(
      () => true,
      () => false,
    );
  }

  /** The lock is lost: somebody else has it. */
  get isLost(): boolean {
    return this.#lease.lost.aborted;
  }

  /** It is not known whether what was written last into the journal is there. */
  get isInDoubt(): boolean {
    return this.#inDoubt;
  }

  /** What a restore or a migration has left or is about to do, as it was written by whatever manager. */
  get journal(): string | undefined {
    return this.#lease.state.journal;
  }

  /** @throws LockLostError: it is not written, and never will be; InDoubtError */
  async setJournal(journal: string | undefined): Promise<void> {
    await this.#lease
      .update((state) => ({ ...state, journal }))
      .then(
        () => (this.#inDoubt = false),
        (error: unknown) => {
          this.#inDoubt = error instanceof InDoubtError;
          throw error;
        },
      );
  }

  /**
   * The next epoch: counted before the round begins, whether it succeeds or not, so that no two rounds ever have the same one, and two in a row
   * never share a colour (the epoch's parity).
   * @param floor an epoch that is known to have been used; looked at when none has been counted yet
   */
  async nextEpoch(floor: () => Promise<number>): Promise<number> {
    const least = this.#lease.state.epoch === 0 ? await floor() : 0;
    await this.#lease.update((state) => ({ ...state, epoch: Math.max(state.epoch, least) + 1 }));
    return this.#lease.state.epoch;
  }

  /** Snapshots that are committed, of which some agents may not know it yet. */
  get commits(): readonly CommittedSnapshot[] {
    return this.#lease.state.commits;
  }

  /** A snapshot exists from now on. @throws LockLostError: it does not exist, and never will; InDoubtError */
  commit(snapshot: CommittedSnapshot): Promise<void> {
    return this.#lease.update((state) => ({ ...state, commits: [...state.commits, snapshot] }));
  }

  /** @param commits of which some agents do not know yet */
  async setCommits(commits: readonly CommittedSnapshot[]): Promise<void> {
    if (JSON.stringify(commits) === JSON.stringify(this.commits)) return;
    await this.#lease.update((state) => ({ ...state, commits }));
  }
}

/** A session in which this command, and no other on whatever manager, works on a stack. */
export interface LockedSession extends ClusterSession {
  readonly lock: StackLock;
}

/**
 * Works on a stack as the only one in the cluster. On this manager a file lock sees to it, among the managers a lease in the cluster's own
 * state. What the work changes in the cluster is changed only while the lease is held, and agents take its orders only while nobody has
 * taken over.
 * @param act gets a signal that is aborted, too, when somebody else has taken over
 * @throws SwarmcutError `conflict`, naming the command that has the lock: where, its id, and since when; LockLostError
 */
export async function withStackLock<Result>(
  ctx: CoordinatorContext,
  session: ClusterSession,
  stack: string,
  work: Work,
  act: (ctx: CoordinatorContext, session: LockedSession) => Promise<Result>,
): Promise<Result> {
  return withLease(
    ctx,
    session.cluster,
    { stack, name: STACK_RECORD + stack, file: stack },
    work,
    async (lease, cluster) => {
      const lock = new StackLock(lease);
      const { clusterId } = await session.cluster.self();
      // The session may outlive the lock: then its agents must not take it for one that has lost it.
      using agents = session.agents.under({ stack, cluster: clusterId, token: lease.token });
      const signal = AbortSignal.any([ctx.signal, lease.lost]);
      return await act({ ...ctx, signal }, { ...session, cluster, agents, lock });
    },
  );
}

/** As {@link withStackLock}, for what concerns the whole cluster: on which nodes tasks may be placed. */
export async function withPlacementLock(
  ctx: Pick<CoordinatorContext, 'directories' | 'signal' | 'emit' | 'log'>,
  cluster: Cluster,
  waitMs: number,
  act: () => Promise<void>,
): Promise<void> {
  // Stacks have no such character in their names.
  const place = { name: 'placement', file: '~placement' };
  await withLease(ctx, cluster, place, { command: 'placement', id: String(process.pid), waitMs }, act);
}

interface LockPlace {
  readonly stack?: string;
  /** Of the record. */
  readonly name: string;
  /** Of the file lock. */
  readonly file: string;
}

async function withLease<Result>(
  ctx: Pick<CoordinatorContext, 'directories' | 'signal' | 'emit' | 'log'>,
  cluster: Cluster,
  place: LockPlace,
  work: Work,
  act: (lease: Lease, cluster: Cluster) => Promise<Result>,
): Promise<Result> {
  const local = await localLock(ctx, place.file, work);
  try {
    const lease = await leaseOf(ctx, cluster, place, work);
    try {
      return await act(
        lease,
        cluster.guardedBy(() => lease.sure()),
      );
    } catch (error) {
      if (!lease.lost.aborted) throw error;
      ctx.log.error({ ...place, reason: String(error) }, 'the lock was lost');
      throw lease.lost.reason;
    } finally {
      await lease.release();
    }
  } finally {
    await local.release();
  }
}

async function leaseOf(
  ctx: Pick<CoordinatorContext, 'signal' | 'emit' | 'log'>,
  cluster: Cluster,
  place: LockPlace,
  { command, id, waitMs = 0 }: Work,
): Promise<Lease> {
  const self = await cluster.self();
  return acquireLease({
    records: cluster.records,
    name: place.name,
    holder: thisHolder(self, { command, id }, new Date()),
    time: TIME,
    signal: ctx.signal,
    waitMs,
    // We have the file lock: what was a process of this machine has ended, or works in other directories.
    isGone: (holder) => hasEndedHere(self, holder),
    onSilence: (holder, atMostMs) => {
      const message = `${textOf(holder, place)}, and is not heard of any more: waiting until its lease ends, ${Math.ceil(atMostMs / 1000)} s at most`;
      ctx.log.warn({ holder }, message);
      ctx.emit({ kind: 'information', message });
    },
    refusal: (holder) =>
      new SwarmcutError('conflict', textOf(holder, place), {
        where: { ...(place.stack === undefined ? {} : { stack: place.stack }), node: holder.node },
        advice: `wait for it to end, or end it on ${holder.node} with Ctrl-C: it then puts everything back`,
      }),
  });
}

/** Who has the lock, as a sentence. */
export function textOf({ node, command, id, since, pid }: LockHolder, { stack }: { readonly stack?: string }): string {
  const what = stack === undefined ? `a ${command}` : `a ${command} (id ${id}) of stack ${stack}`;
  return `${what} has been running on node ${node} since ${since} (process ${pid})`;
}

const TIME: LeaseTime = {
  now: () => performance.now(),
  pause,
  every: (ms, call) => {
    const timer = setInterval(call, ms).unref();
    return () => clearInterval(timer);
  },
};

async function localLock(
  { directories, signal }: Pick<CoordinatorContext, 'directories' | 'signal'>,
  file: string,
  { command, id, waitMs = 0 }: Work,
): Promise<LocalLock> {
  const until = performance.now() + waitMs;
  for (;;) {
    try {
      return await acquireStackLock(directories.run, file, { command, id });
    } catch (error) {
      const busy = error instanceof SwarmcutError && error.code === 'conflict';
      if (!busy || performance.now() >= until) throw error;
      await pause(LOCAL_RETRY_MS, signal);
    }
  }
}
