import { messageOf } from '../../src/model/errors.ts';
import type { Logger } from '../../src/platform/logger.ts';
import type { Deadman } from '../runtime/criu/deadman.ts';
import { Spawns } from '../linux/spawns.ts';
import { Lookups } from '../network/lookups.ts';
import { probesEnd } from '../runtime/docker/probes.ts';
import type { Expectations } from '../runtime/shim/expectations.ts';
import type { Sidecars } from '../sidecars/sidecars.ts';
import { isMoved, runsOn, taken, type Entry } from './held-entry.ts';
import { HeldTask, type HeldTaskOptions } from './held-task.ts';
import { ClosedHolders, holderText, sameHolder, suspendedTask, type Holder, type Keeper } from './holder.ts';
import type { Journal } from './journal.ts';
import type { OpenedTask } from './open-task.ts';
import { RequestQueues } from './request-queues.ts';

/** A task that could not be let go is tried again after this long; its dead man's switch may have done it by then. Milliseconds. */
const RETRY_MS = 5_000;

/** Longest time between two looks at a deadline, since timers cannot be set to any. Milliseconds. */
const LONGEST_TIMER_MS = 24 * 3_600_000;

export interface HeldTasksOptions {
  /** Finds a running container, to be blocked by the kernel interceptor. */
  readonly open: (containerId: string) => Promise<OpenedTask>;
  /** @param pid of a task's first process */
  readonly connections: (pid: number) => ReturnType<HeldTaskOptions['connections']>;
  readonly arm: HeldTaskOptions['arm'];
  readonly journal: Pick<Journal, 'note' | 'forget'>;
  readonly standstills: HeldTaskOptions['standstills'];
  readonly expectations: Pick<Expectations, 'markMoved' | 'unmarkMoved'>;
  readonly sidecars: Pick<Sidecars, 'block' | 'release' | 'end'>;
  readonly log: Pick<Logger, 'error' | 'warn'>;
}

/**
 * The one owner of every task of this node that a round or a relocation (restore, migration) has blocked, frozen or handed over. A task has at
 * most one holder, and only its holder may do something to it. A round watches over its own deadlines (its participant does); a
 * relocation's are watched over here, and the dead man's switch stands behind both. Requests for one container are dealt with one after
 * the other.
 */
export class HeldTasks {
  readonly #options: HeldTasksOptions;
  readonly #entries = new Map<string, Entry>();
  /** For each container. */
  readonly #requests = new RequestQueues();
  /** Holders that have given up lately: that may overtake a request of theirs, which must then find them gone. */
  readonly #closed = new ClosedHolders();

  constructor(options: HeldTasksOptions) {
    this.#options = options;
  }

  /**
   * The holder may do something to this task from now on, and nobody else. Nothing is done to it yet, but a restarted agent would let it go.
   * @throws SwarmcutError `conflict` when somebody has it, `interrupted` when the holder has given up
   */
  async take(holder: Holder, opened: OpenedTask, keeper: Keeper): Promise<HeldTask> {
    return (await this.#take(holder, opened, () => keeper)).task;
  }

  /** The task runs: what was attached to it is detached, and anybody may take it again. */
  async giveBack(task: HeldTask): Promise<void> {
    const entry = this.#entries.get(task.containerId);
    if (entry?.task !== task) return;
    await task.interceptor.detach();
    await this.#options.journal.forget(task.containerId);
    this.#forget(entry);
  }

  /** As {@link giveBack}, for a task that nobody will come back to. What cannot be detached stays in the journal. Never rejects. */
  async abandon(task: HeldTask): Promise<void> {
    await this.giveBack(task).catch(() => undefined);
    const entry = this.#entries.get(task.containerId);
    if (entry?.task === task) this.#forget(entry);
  }

  /**
   * Blocks and freezes a running task for a relocation; repeated, puts its deadline off.
   * @throws SwarmcutError `conflict` when somebody else has it; `interrupted` when the relocation has given up, or the deadline has passed and
   *   the task runs. It runs on in any case.
   */
  suspend(relocation: Holder, containerId: string, deadlineMs: number): Promise<void> {
    return this.#requests.run(containerId, async () => {
      this.mayTake(relocation, containerId);
      const known = this.#entries.get(containerId);
      if (known !== undefined) return this.#renew(known, deadlineMs);
      const opened = await this.#options.open(containerId);
      const entry = await this.#take(relocation, opened, (task) => suspendedTask(task, this.#options.sidecars));
      try {
        await entry.keeper.renewing?.(deadlineMs);
        await entry.task.block(deadlineMs);
        this.#closed.refuse(relocation);
        await entry.task.freeze();
        this.#closed.refuse(relocation);
      } catch (error) {
        await this.#letGo(entry, messageOf(error));
        throw error;
      }
      this.#watch(entry);
    });
  }

  /**
   * From now on the relocation answers for a task that a round has kept frozen; the round's deadline goes on. Repeated: no effect.
   * @throws SwarmcutError `interrupted` when the round keeps it no longer: it has run on since its cut, and its successor must not run
   */
  takeOver(relocation: Holder, round: Holder, containerId: string): Promise<void> {
    return this.#requests.run(containerId, async () => {
      this.#closed.refuse(relocation);
      const entry = this.#entries.get(containerId);
      if (entry !== undefined && sameHolder(entry.holder, relocation)) return;
      if (entry === undefined || !sameHolder(entry.holder, round) || !(await entry.task.standsStill())) throw runsOn();
      entry.holder = relocation;
      entry.cutBy = round;
      entry.keeper.handedOver?.();
      this.#watch(entry);
      await this.#note(relocation, entry.opened);
    });
  }

  /**
   * The successor is about to be released: the task stays frozen until its holder says what has become of it, or until the deadline, even if
   * this agent starts again meanwhile; and the engine's next `kill` ends it at once. Repeated: puts the deadline off.
   * @throws SwarmcutError `interrupted` when it does not stand still for this relocation: then its successor must not run
   */
  prepareRetirement(relocation: Holder, containerId: string, deadlineMs: number): Promise<void> {
    return this.#requests.run(containerId, async () => {
      this.#closed.refuse(relocation);
      const entry = this.#heldBy(relocation, containerId);
      if (entry === undefined) throw runsOn();
      await this.#renew(entry, deadlineMs);
      await this.#note(relocation, entry.opened, true);
      entry.inDoubt = true;
      this.#options.expectations.markMoved(containerId);
    });
  }

  /** The successor runs: the task stays frozen until the engine ends it. One that this relocation does not have is no error. */
  retire(relocation: Holder, containerId: string): Promise<void> {
    return this.#requests.run(containerId, async () => {
      const entry = this.#heldBy(relocation, containerId);
      if (entry === undefined || isMoved(entry)) return;
      this.#options.expectations.markMoved(containerId);
      try {
        await entry.task.retire();
      } finally {
        if (isMoved(entry)) await this.#hasMoved(entry);
      }
    });
  }

  /**
   * The holder gives up: every task that it has goes on, and it gets none any more. So do those that it has stopped as a round for somebody
   * else: without the round's checkpoints they are of no use. Tasks that have moved stay so. Never rejects.
   */
  release(holder: Holder, reason: string): Promise<void> {
    return this.#release(holder, reason, () => true);
  }

  /** As {@link release}, but tasks that {@link prepareRetirement} was asked for stand still until it is known whether their successors run. */
  releaseUndecided(holder: Holder, reason: string): Promise<void> {
    return this.#release(holder, reason, (entry) => !entry.inDoubt);
  }

  async #release(holder: Holder, reason: string, which: (entry: Entry) => boolean): Promise<void> {
    this.close(holder);
    await Promise.all(
      [...new Set([...this.#entries.keys(), ...this.#requests.keys])].map((containerId) =>
        this.#requests.run(containerId, async () => {
          const entry = this.#heldBy(holder, containerId) ?? this.#cutBy(holder, containerId);
          if (entry !== undefined && !isMoved(entry) && which(entry)) await this.#letGo(entry, reason);
        }),
      ),
    );
  }

  /** The holder gets no task any more. */
  close(holder: Holder): void {
    this.#closed.add(holder);
  }

  /** Who has a task, in words; undefined: nobody. */
  holderOf(containerId: string): string | undefined {
    const entry = this.#entries.get(containerId);
    return entry === undefined ? undefined : holderText(entry.holder);
  }

  /** @throws SwarmcutError `interrupted` when the holder has given up, `conflict` when another one has the task */
  mayTake(holder: Holder, containerId: string): void {
    this.#closed.refuse(holder);
    const entry = this.#entries.get(containerId);
    if (entry !== undefined && !sameHolder(entry.holder, holder)) throw taken(entry);
  }

  /**
   * A task that an agent before this one has left frozen in doubt ({@link prepareRetirement}).
   * @param deadman its switch, which is still armed
   */
  async adopt(relocation: Holder, opened: OpenedTask, deadman: Deadman): Promise<void> {
    const { containerId } = opened;
    const task = this.#task(opened, deadman);
    const keeper = suspendedTask(task, this.#options.sidecars);
    const entry: Entry = {
      task,
      opened,
      keeper,
      holder: relocation,
      cutBy: undefined,
      inDoubt: true,
      timer: undefined,
    };
    this.#entries.set(containerId, entry);
    this.#watch(entry);
    // Sidecars that are taken over go on.
    await keeper.renewing?.(task.leftMs);
  }

  #task(opened: OpenedTask, standing?: Deadman): HeldTask {
    const { arm, connections, standstills } = this.#options;
    return new HeldTask({
      ...opened,
      arm,
      standstills,
      connections: () => connections(opened.pid),
      probesEnd: (check) => probesEnd(opened.pid, check),
      lookups: new Lookups(opened.pid),
      spawns: new Spawns(opened.pid),
      ...(standing === undefined ? {} : { standing }),
    });
  }

  async #take(holder: Holder, opened: OpenedTask, keeper: (task: HeldTask) => Keeper): Promise<Entry> {
    this.#closed.refuse(holder);
    const { containerId } = opened;
    const other = this.#entries.get(containerId);
    if (other !== undefined) throw taken(other);
    const task = this.#task(opened);
    const entry: Entry = {
      task,
      opened,
      keeper: keeper(task),
      holder,
      cutBy: undefined,
      inDoubt: false,
      timer: undefined,
    };
    // Before anything is awaited, so that whoever gives up or comes in between finds it.
    this.#entries.set(containerId, entry);
    try {
      await this.#note(holder, opened);
    } catch (error) {
      this.#entries.delete(containerId);
      throw error;
    }
    return entry;
  }

  #heldBy(holder: Holder, containerId: string): Entry | undefined {
    const entry = this.#entries.get(containerId);
    return entry !== undefined && sameHolder(entry.holder, holder) ? entry : undefined;
  }

  #cutBy(round: Holder, containerId: string): Entry | undefined {
    const entry = this.#entries.get(containerId);
    return entry?.cutBy !== undefined && sameHolder(entry.cutBy, round) && !entry.inDoubt ? entry : undefined;
  }

  async #renew(entry: Entry, deadlineMs: number): Promise<void> {
    if (!(await entry.task.standsStill())) throw runsOn();
    await entry.keeper.renewing?.(deadlineMs);
    await entry.task.renew(deadlineMs);
    this.#watch(entry);
  }

  /** Lets the task go at its deadline, unless that is put off. */
  #watch(entry: Entry): void {
    clearTimeout(entry.timer);
    const { containerId } = entry.task;
    const late = (): Promise<void> =>
      this.#requests.run(containerId, async () => {
        if (this.#entries.get(containerId) !== entry || isMoved(entry)) return;
        if (entry.task.leftMs > 0) this.#watch(entry);
        else await this.#letGo(entry, 'the deadline has passed');
      });
    const afterMs = Math.min(LONGEST_TIMER_MS, Math.max(0, Math.ceil(entry.task.leftMs)));
    entry.timer = setTimeout(() => void late(), afterMs).unref();
  }

  /** The task runs on, whatever state it is in. Never rejects: what does not succeed is tried again. */
  async #letGo(entry: Entry, reason: string): Promise<void> {
    const { task, keeper } = entry;
    const { containerId } = task;
    clearTimeout(entry.timer);
    try {
      this.#options.expectations.unmarkMoved(containerId);
      await keeper.letGo(reason);
      await task.letGo();
      await this.giveBack(task);
    } catch (error) {
      // The dead man's switch is still armed: it will do what we could not.
      this.#options.log.error({ containerId, reason: messageOf(error) }, 'cannot let go of a task');
      const again = (): Promise<void> => this.#requests.run(containerId, () => this.#letGoAgain(entry, reason));
      entry.timer = setTimeout(() => void again(), RETRY_MS).unref();
    }
  }

  async #letGoAgain(entry: Entry, reason: string): Promise<void> {
    if (this.#entries.get(entry.task.containerId) === entry) await this.#letGo(entry, reason);
  }

  async #hasMoved(entry: Entry): Promise<void> {
    const { containerId } = entry.task;
    clearTimeout(entry.timer);
    entry.timer = setTimeout(() => {
      this.#forget(entry);
      // It has been ended by now; an engine that was killed has no use for the marks, and would never have them removed.
      this.#options.expectations.unmarkMoved(containerId);
      this.#options.standstills.unmark(containerId);
    }, entry.task.movedGraceMs).unref();
    await this.#endSidecar(containerId);
    await this.#options.journal.forget(containerId);
  }

  /** New connections must not be offered to a task that stands still for ever, for as long as names still lead to it. */
  async #endSidecar(containerId: string): Promise<void> {
    const { sidecars, log } = this.#options;
    await sidecars.end(containerId).catch((error: unknown) => {
      log.warn(
        { containerId, reason: messageOf(error) },
        'the sidecar of a task that has moved goes on until the task has ended',
      );
    });
  }

  #note(holder: Holder, { containerId, pid, stageDir, health }: OpenedTask, inDoubt = false): Promise<void> {
    const stage = stageDir === undefined ? {} : { stageDir };
    const check = health === undefined ? {} : { health: { ...health, args: [...health.args] } };
    return this.#options.journal.note({
      containerId,
      pid,
      owner: holder.id,
      ...stage,
      ...(inDoubt ? { inDoubt, ...check } : {}),
    });
  }

  #forget(entry: Entry): void {
    clearTimeout(entry.timer);
    this.#entries.delete(entry.task.containerId);
  }
}
