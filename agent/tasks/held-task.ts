import type { Epoch } from '../../src/algorithms/index.ts';
import type { Deadman, DeadmanOptions } from '../runtime/criu/deadman.ts';
import type { WaitingConnections } from '../network/rewriting/push-unsent.ts';
import type { TaskInterceptor } from '../network/task-interceptor.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { kindOf, obstacleText } from '../../src/model/obstacles.ts';
import { didSome } from '../../src/platform/activity.ts';
import type { Spawns } from '../linux/spawns.ts';
import { readProcess } from '../obstacles/processes.ts';
import type { Lookups } from '../network/lookups.ts';
import type { HealthCheck } from '../runtime/docker/health.ts';
import type { Standstills } from '../runtime/shim/standstills.ts';
import type { Runc } from '../runtime/criu/runc.ts';
import { failPoint } from '../../src/platform/fail-points.ts';

/** The dead man's switch leaves the agent, which lets go at the deadline by itself, this much time to do so. Milliseconds. */
const DEADMAN_MARGIN_MS = 2_000;

/** The block outlives the dead man's switch by this much, so that nothing runs unfrozen behind an expired block. Milliseconds. */
const BLOCK_MARGIN_MS = 5_000;

/**
 * A task that has moved away is ended when the engine says so. If the engine does not within this time, it is ended all the same: it must
 * never run beside its successor. Where there is a health check, its time is added: Swarm ends the old task when the check has called the new
 * one healthy, and makes a third one if the old one ends before that. Milliseconds.
 */
const MOVED_GRACE_MS = 60_000;

/** A task in which names are looked up all the time is frozen at last. */
const MOST_FREEZES = 4;

/** One that starts programs all the time is frozen between two of them, or not at all: CRIU could not dump it. */
const MOST_FREEZES_SPAWNING = 30;

/**
 * - `running`: nothing is done to it, whether somebody has taken it or not.
 * - `blocked`: cut off from the network, but not frozen.
 * - `frozen`: not one of its threads runs.
 * - `moved`: handed over. Its successor runs: it stays frozen until the engine, or its own time-out, ends it. There is no way back.
 */
export type TaskState = 'running' | 'blocked' | 'frozen' | 'moved';

export interface HeldTaskOptions {
  readonly containerId: string;
  readonly interceptor: TaskInterceptor;
  readonly runc: Pick<Runc, 'pause' | 'resume' | 'command'>;
  /** Its engine's health check. */
  readonly health: HealthCheck | undefined;
  /** Waits until no probe of it is under way. */
  readonly probesEnd: (health: HealthCheck) => Promise<void>;
  /** Of names, in it. */
  readonly lookups: Pick<Lookups, 'end' | 'underWay'>;
  /** Of programs, in it. */
  readonly spawns: Pick<Spawns, 'end' | 'underWay'>;
  /** Its connections, which wait for timers when the block is opened unless they are told. */
  readonly connections: () => Promise<WaitingConnections>;
  readonly standstills: Pick<Standstills, 'mark' | 'unmark'>;
  readonly arm: (options: Omit<DeadmanOptions, 'runDir'>) => Promise<Deadman>;
  /** It is blocked and frozen already, and this switch will undo that. */
  readonly standing?: Deadman;
}

/**
 * One container, and what is done to it so that it stands still: the block, the freeze, and the dead man's switch that undoes both. Who may
 * do so is not asked here (held-tasks.ts). Every method can be called again with no further effect; a task that has moved is never
 * touched again. Calls take turns.
 */
export class HeldTask {
  readonly containerId: string;
  readonly interceptor: TaskInterceptor;
  readonly #options: HeldTaskOptions;
  #state: TaskState = 'running';
  #deadman: Deadman | undefined;
  #deadlineMs = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: HeldTaskOptions) {
    this.containerId = options.containerId;
    this.interceptor = options.interceptor;
    this.#options = options;
    const { standing } = options;
    if (standing === undefined) return;
    this.#state = 'frozen';
    this.#deadman = standing;
    this.#deadlineMs = performance.now() + standing.firesAtMs - Date.now() - DEADMAN_MARGIN_MS;
    this.#mark(this.leftMs + DEADMAN_MARGIN_MS);
  }

  get state(): TaskState {
    return this.#state;
  }

  /** How long it stands still for the engine to end it, once it has moved. Milliseconds. */
  get movedGraceMs(): number {
    return MOVED_GRACE_MS + (this.#options.health?.verdictMs ?? 0);
  }

  /** Until the moment at which it must have been let go; negative when that is past. Milliseconds. */
  get leftMs(): number {
    return this.#deadlineMs - performance.now();
  }

  /** Nothing of it enters or leaves the network. @param deadlineMs from now; the dead man's switch undoes everything soon after it */
  block(deadlineMs: number): Promise<void> {
    return this.#unlessMoved(async () => {
      const { containerId, interceptor, runc, arm, health, probesEnd, lookups } = this.#options;
      await failPoint('agent.block');
      this.#deadlineMs = performance.now() + deadlineMs;
      // Armed before anything is done, so that an agent that dies leaves something behind that undoes it.
      this.#deadman ??= await arm({
        containerId,
        afterMs: deadlineMs + DEADMAN_MARGIN_MS,
        undo: [runc.command('resume', containerId), ...interceptor.undoCommands()],
      });
      // Before the first step, so that whatever fails in it is undone.
      this.#state = 'blocked';
      this.#mark(deadlineMs + DEADMAN_MARGIN_MS);
      // From here on none begins; one that is frozen half way would be called failed.
      if (health !== undefined) await probesEnd(health);
      await interceptor.block(deadlineMs + DEADMAN_MARGIN_MS + BLOCK_MARGIN_MS);
      await lookups.end();
    });
  }

  freeze(): Promise<void> {
    return this.#unlessMoved(async () => {
      await failPoint('agent.freeze');
      // This agent has stood still for so long: nothing would undo it if it died now.
      if (await this.thawedByDeadman())
        throw new SwarmcutError('interrupted', 'the deadline had passed before the task was frozen');
      const { runc, lookups, spawns } = this.#options;
      await runc.pause(this.containerId);
      // Something has begun meanwhile. Nothing of the freeze has been told to anybody yet.
      for (let turn = 1; ; turn++) {
        const spawning = await spawns.underWay();
        if (spawning === undefined && (turn >= MOST_FREEZES || !(await lookups.underWay()))) break;
        await runc.resume(this.containerId);
        if (spawning !== undefined && turn === MOST_FREEZES_SPAWNING) throw await alwaysSpawns(spawning);
        await (spawning === undefined ? lookups.end() : spawns.end());
        await runc.pause(this.containerId);
      }
      this.#state = 'frozen';
    });
  }

  /** Opens the block and carries the new epoch from here on, as one transaction. */
  advance(epoch: Epoch): Promise<void> {
    return this.#unlessMoved(async () => {
      await failPoint('agent.advance');
      await this.interceptor.advance(epoch);
    });
  }

  unblock(): Promise<void> {
    return this.#unlessMoved(() => this.interceptor.unblock());
  }

  /** Lets it run on and calls the dead man's switch off. @param awake called between the two */
  thaw(awake: () => void = () => undefined): Promise<void> {
    return this.#unlessMoved(async () => {
      await failPoint('agent.thaw');
      await this.#options.runc.resume(this.containerId);
      awake();
      await this.#runsOn();
    });
  }

  /** Unblocks and thaws it, if that is still to be done. One that has ended is no error. */
  async letGo(): Promise<void> {
    if (this.#state === 'running') return;
    // A matter of speed only.
    const connections = await this.#options.connections().catch(() => undefined);
    await this.unblock();
    if (await this.standsStill()) connections?.prod();
    await this.thaw(() => connections?.push()).catch(async (error: unknown) => {
      if (!(error instanceof SwarmcutError) || error.code !== 'not-found') throw error;
      await this.#runsOn();
    });
  }

  /** True if the dead man's switch has let it go: what was saved since the freeze is worthless then. */
  async thawedByDeadman(): Promise<boolean> {
    return (await this.#deadman?.fired()) ?? false;
  }

  /** True if it has not run since it was frozen. */
  async standsStill(): Promise<boolean> {
    return this.#state === 'frozen' && !(await this.thawedByDeadman());
  }

  /**
   * Puts the end of freeze and block off.
   * @param deadlineMs from now
   * @throws SwarmcutError `interrupted` when it has come already, and the task runs
   */
  renew(deadlineMs: number): Promise<void> {
    return this.#unlessMoved(async () => {
      if (this.#state !== 'frozen') throw new SwarmcutError('interrupted', 'the task runs on');
      try {
        this.#deadman = await this.#deadman?.rearm(deadlineMs + DEADMAN_MARGIN_MS);
      } catch (error) {
        if (error instanceof SwarmcutError && error.code === 'interrupted') {
          this.#state = 'running';
          this.#options.standstills.unmark(this.containerId);
        }
        throw error;
      }
      this.#deadlineMs = performance.now() + deadlineMs;
      this.#mark(deadlineMs + DEADMAN_MARGIN_MS);
      await this.interceptor.renewBlock(deadlineMs + DEADMAN_MARGIN_MS + BLOCK_MARGIN_MS);
    });
  }

  /**
   * Its successor runs: it is frozen for good, and ended in the end.
   * @throws when it cannot be kept from its peers; it is ended all the same
   */
  retire(): Promise<void> {
    return this.#unlessMoved(async () => {
      const { containerId, interceptor, runc, arm } = this.#options;
      // It may have been let go since the decision (its sidecar has died): two of it must not run.
      if (this.#state !== 'frozen') await runc.pause(containerId);
      // Its own name, so that it is not mistaken for the switch that thaws.
      await arm({
        containerId: `${containerId}-moved`,
        afterMs: this.movedGraceMs,
        unattended: true,
        undo: [runc.command('kill', containerId, 'KILL'), runc.command('resume', containerId)],
      });
      this.#state = 'moved';
      this.#mark(this.movedGraceMs);
      await this.#disarm();
      // The sockets of the dying task must not be heard by its peers, which now talk to its successor.
      await interceptor.renewBlock(this.movedGraceMs + MOVED_GRACE_MS);
    });
  }

  #unlessMoved(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(() => (this.#state === 'moved' ? undefined : work()));
    this.#last = done.catch(() => undefined);
    return done.finally(() => didSome());
  }

  /** The engine's stops and health checks wait for what becomes of it; or know. */
  #mark(endsInMs: number): void {
    const { containerId, health, standstills } = this.#options;
    standstills.mark({ containerId, endsInMs, health, decided: this.#state === 'moved' });
  }

  async #runsOn(): Promise<void> {
    this.#state = 'running';
    this.#options.standstills.unmark(this.containerId);
    await this.#disarm();
  }

  async #disarm(): Promise<void> {
    const deadman = this.#deadman;
    this.#deadman = undefined;
    await deadman?.cancel();
  }
}

async function alwaysSpawns(pid: number): Promise<SwarmcutError> {
  const process = await readProcess(pid);
  const named = { pid: process?.innerPid ?? 0, command: process?.command ?? '' };
  return new SwarmcutError('precondition', obstacleText({ kind: 'vfork-waiting', ...named, object: '' }), {
    advice: kindOf({ kind: 'vfork-waiting' }).advice,
  });
}
