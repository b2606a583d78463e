import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { seconds } from '../../../src/platform/deadlines.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { Member } from '../transaction/replacement-journal.ts';
import type { CoordinatorContext } from '../session/context.ts';

/**
 * An old task that has confirmed that its successor may be released stays frozen until it is told what has become of that, for at most this long:
 * long enough for a guardian, or a person, to finish what a coordinator that has died had begun; not for ever, lest a task be lost of
 * which everybody has forgotten. Agents give restored tasks up before it (GIVE_UP_MS in agent/restores/restores.ts). Milliseconds.
 */
const IN_DOUBT_MS = 600_000;

/** An old task that must not run on beside the new one. */
export interface OldTask {
  readonly key: string;
  readonly containerId: string;
  readonly agent: AgentClient;
}

/**
 * The running tasks that a relocation replaces. They stand still, by its own request or by that of a round, until it is known whether they or
 * the new ones go on.
 */
export class OldTasks {
  readonly tasks: readonly OldTask[];
  readonly #ctx: Pick<CoordinatorContext, 'emit'>;
  readonly #restoreId: string;
  /** Stops of some of them may wait. */
  #kept = false;
  /** Some of them may stand still. */
  #stopped = false;
  /** The round that has stopped them, if one has. */
  #snapshotId: string | undefined;
  readonly #ranOut = new AbortController();
  #limit: NodeJS.Timeout | undefined;
  #atWork: () => string = () => '';

  constructor(ctx: Pick<CoordinatorContext, 'emit'>, restoreId: string, tasks: readonly OldTask[]) {
    this.#ctx = ctx;
    this.#restoreId = restoreId;
    this.tasks = tasks;
  }

  /** As the journal has them. */
  get members(): Member[] {
    return this.tasks.map(({ key, agent, containerId }) => ({ key, node: agent.node, containerId }));
  }

  /** Each once. */
  get agents(): readonly AgentClient[] {
    return [...new Set(this.tasks.map(({ agent }) => agent))];
  }

  /**
   * Aborted when they have been standing still for as long as they may, and run on by themselves: then their successors must not run, and nobody
   * need go on preparing them. The error says what was under way.
   */
  get ranOut(): AbortSignal {
    return this.#ranOut.signal;
  }

  /** Who can say what the tasks stand still for. */
  whileAt(atWork: () => string): void {
    this.#atWork = atWork;
  }

  /**
   * From now on the engine's stops of them wait, though they run: somebody may update their services, or drain their nodes, before it is known
   * whether they go on elsewhere. @param deadlineMs it waits for no longer
   */
  async keep(deadlineMs: number): Promise<void> {
    this.#kept = true;
    await this.#each(({ agent, containerId }) => agent.keep({ restoreId: this.#restoreId, containerId, deadlineMs }));
  }

  /** Blocks and freezes them. @param deadlineMs they run on by themselves after so long */
  async suspend(deadlineMs: number): Promise<void> {
    this.#stopped = true;
    await this.#each(({ agent, containerId }) =>
      agent.suspend({ restoreId: this.#restoreId, containerId, deadlineMs }),
    );
    this.#limitTo(deadlineMs, '--timeout');
  }

  /**
   * A round has left them frozen: from now on the relocation answers for them. The round's deadline goes on.
   * @param deadlineMs that of the round: the last of them runs on by itself after so long from now, at the latest
   */
  async takeOver(snapshotId: string, deadlineMs: number): Promise<void> {
    this.#stopped = true;
    this.#snapshotId = snapshotId;
    await this.#each(({ agent, containerId }) =>
      agent.takeOver({ restoreId: this.#restoreId, containerId, snapshotId }),
    );
    this.#limitTo(deadlineMs, 'the label swarmcut.freeze-timeout');
  }

  /** Those that were stopped. */
  get stopped(): readonly OldTask[] {
    return this.#stopped ? this.tasks : [];
  }

  /**
   * Their successors are about to be released: from now on they stand still until told. Fails if one of them was frozen for too long and runs on: then its successor must not. The
   * engine's `kill` may come as soon as the first new task is seen running, and ends them at once from now on.
   */
  async prepareRetirement(): Promise<void> {
    if (!this.#stopped) return;
    const deadlineMs = IN_DOUBT_MS;
    await this.#each(({ agent, containerId }) =>
      agent.prepareRetirement({ restoreId: this.#restoreId, containerId, deadlineMs }),
    );
    clearTimeout(this.#limit);
  }

  /** They go on, but for those that were retired. Never throws. */
  async resume(reason: string): Promise<void> {
    clearTimeout(this.#limit);
    if (!this.#stopped && !this.#kept) return;
    const [restoreId, snapshotId] = [this.#restoreId, this.#snapshotId];
    await Promise.all(
      this.agents.map(async (agent) => {
        try {
          // What was not taken over is still the round's; its checkpoints are discarded.
          const abort = snapshotId === undefined ? undefined : agent.abort({ snapshotId, reason });
          await Promise.all([agent.resume({ restoreId, reason }), abort]);
        } catch (error) {
          this.#ctx.emit({
            kind: 'warning',
            message: `node ${agent.node} could not be told to go on (${messageOf(error)}); its own deadline will thaw the tasks`,
          });
        }
      }),
    );
  }

  /** Their agents let them go at that time, and say so only when they are asked. */
  #limitTo(deadlineMs: number, setting: string): void {
    const late = (): void => {
      const atWork = this.#atWork();
      const message = `the old tasks run on: they have been standing still for ${seconds(deadlineMs)}, as long as they may`;
      this.#ranOut.abort(
        new SwarmcutError('interrupted', atWork === '' ? message : `${message}; under way was: ${atWork}`, {
          advice: `if that is how long it takes, raise ${setting}`,
        }),
      );
    };
    this.#limit = setTimeout(late, deadlineMs).unref();
  }

  async #each(call: (task: OldTask) => Promise<unknown>): Promise<void> {
    await Promise.all(this.tasks.map(call));
  }
}
