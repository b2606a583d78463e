import { SwarmcutError } from '../../../../src/model/errors.ts';
import type { LeaseTime } from '../../../../coordinator/operations/lock/lease.ts';
import type { Cluster, RecordValue, SharedRecord, SharedRecords } from '../../../../coordinator/orchestrator/index.ts';

/** Time that passes only when a test says so. */
export class FakeTime implements LeaseTime {
  #now = 0;
  readonly #timers = new Set<{ at: number; fire: () => void }>();

  now(): number {
    return this.#now;
  }

  pause(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = { at: this.#now + ms, fire: resolve };
      this.#timers.add(timer);
      signal?.addEventListener('abort', () => {
        this.#timers.delete(timer);
        reject(signal.reason as Error);
      });
    });
  }

  every(ms: number, call: () => void): () => void {
    const timer: { at: number; fire: () => void } = { at: this.#now + ms, fire: () => undefined };
    timer.fire = () => {
      timer.at = this.#now + ms;
      this.#timers.add(timer);
      call();
    };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Lets time pass, and everything happen that happens in it. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await settled();
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.fire();
    }
    this.#now = until;
  }
}

/** Everything that waits for nothing has been done. */
async function settled(): Promise<void> {
  // Longer than any chain of promises that waits for no time to pass.
  for (let turn = 0; turn < 60; turn++) await Promise.resolve();
}

/** The state that managers agree on. */
export class FakeRaft {
  readonly records = new Map<string, SharedRecord>();
  /** Every value that was ever written, the newest last. */
  readonly history: RecordValue[] = [];
  #index = 100;

  get(name: string): SharedRecord | undefined {
    return this.records.get(name);
  }

  put(name: string, value: RecordValue): void {
    this.#index++;
    this.records.set(name, { name, id: `id-${name}`, version: this.#index, value });
    this.history.push(value);
  }
}

/** A manager's way to it, which can be broken. */
export class FakeManager implements SharedRecords {
  /** Calls fail, without effect. */
  away = false;
  /** Changes have their effect, and the answer is lost. */
  deaf = false;
  /** This many next readings fail. */
  blind = 0;
  readonly #raft: FakeRaft;
  #gate: Promise<void> | undefined;
  #open: () => void = () => undefined;

  constructor(raft: FakeRaft) {
    this.#raft = raft;
  }

  /** Calls are made only after {@link goOn}: what was on its way arrives late. */
  standStill(): void {
    this.#gate ??= new Promise((resolve) => (this.#open = resolve));
  }

  goOn(): void {
    this.#gate = undefined;
    this.#open();
  }

  async read(name: string): Promise<SharedRecord | undefined> {
    await this.#arrive();
    if (this.blind > 0) {
      this.blind--;
      throw new SwarmcutError('failed', 'The swarm does not have a leader');
    }
    return this.#raft.get(name);
  }

  async all(prefix: string): Promise<SharedRecord[]> {
    await this.#arrive();
    return [...this.#raft.records.values()].filter(({ name }) => name.startsWith(prefix));
  }

  async create(name: string, value: RecordValue): Promise<boolean> {
    await this.#arrive();
    if (this.#raft.get(name) !== undefined) return false;
    this.#raft.put(name, value);
    return this.#answer();
  }

  async replace(seen: SharedRecord, value: RecordValue): Promise<boolean> {
    await this.#arrive();
    const present = this.#raft.get(seen.name);
    if (present?.version !== seen.version) return false;
    this.#raft.put(seen.name, value);
    return this.#answer();
  }

  async #arrive(): Promise<void> {
    await (this.#gate ?? Promise.resolve());
    if (this.away) throw new SwarmcutError('unreachable', 'the engine does not answer');
  }

  #answer(): true {
    if (this.deaf) throw new SwarmcutError('unreachable', 'the connection was reset');
    return true;
  }
}

/** What a fake cluster has of {@link FakeRaft}. */
export function sharedBy(node: string, raft: FakeRaft): Pick<Cluster, 'records' | 'self' | 'guardedBy'> {
  return {
    records: new FakeManager(raft),
    self: () => Promise.resolve({ nodeId: `id-${node}`, hostname: node, clusterId: 'swarm' }),
    guardedBy(this: Cluster) {
      return this;
    },
  };
}
