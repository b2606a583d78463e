import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { Connection } from '../../../src/model/connection.ts';
import type { TaskRef } from '../../../src/model/task.ts';
import { LONGEST_TICKET_MS, issueFetchTicket } from '../../../src/rpc/index.ts';
import type { AgentClient, CallSettings } from '../../../src/rpc/index.ts';
import { seconds } from '../../../src/platform/deadlines.ts';
import type { Part } from '../../../src/model/checkpoint.ts';
import { megabytes } from '../../../src/model/size.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { ClusterSession } from '../session/session.ts';
import type { ClusterService, ClusterTask } from '../../orchestrator/index.ts';
import { Arrivals, type Arrival } from './arrivals/arrivals.ts';
import { carryOut } from '../transaction/commit.ts';
import { networkMessage, proxyMessage } from './messages.ts';
import type { OldTask, OldTasks } from './old-tasks.ts';
import type { TaskPlan } from './plans.ts';
import { nothingStarts, startingText, type Generations } from '../transaction/starting.ts';
import type { CommitRecord, Member } from '../transaction/replacement-journal.ts';
import { failPoint } from '../../../src/platform/fail-points.ts';

/** One saved task, and who has its parts. */
export interface SavedTask {
  readonly key: string;
  readonly ref: TaskRef;
  readonly parts: readonly Part[];
  readonly connections: readonly Connection[];
  readonly node: string;
}

/**
 * The steps that agents take in a restore or migration: they hold back the new containers, lay state into them, restore everything blocked,
 * and then either all go on in the new place or all in the old. In which order, sequence.ts says.
 */
export class Relocation {
  readonly id: string;
  /** The tasks that are replaced. */
  readonly old: OldTasks;
  readonly #ctx: CoordinatorContext;
  readonly #session: ClusterSession;
  readonly #agents: readonly AgentClient[];
  readonly #arrivals: Arrivals;
  #stack = '';
  /** What is done for which task. */
  readonly #atWork = new Map<string, string>();

  /** @param agents of every node on which Swarm may place the new tasks */
  constructor(
    ctx: CoordinatorContext,
    session: ClusterSession,
    id: string,
    parts: { readonly agents: readonly AgentClient[]; readonly old: OldTasks },
  ) {
    this.#ctx = ctx;
    this.#session = session;
    this.id = id;
    this.old = parts.old;
    this.#agents = parts.agents;
    this.#arrivals = new Arrivals(ctx, session, id);
    this.old.whileAt(() => [...this.#atWork.values()].join('; '));
  }

  /** From now on, new containers of these services wait on every agent, until {@link abort} or {@link end}. */
  async expect(stack: string, services: readonly string[]): Promise<void> {
    await failPoint('coordinator.expect');
    this.#stack = stack;
    const sources = this.old.agents.map(({ node, address }) => ({ node, address }));
    const order = { restoreId: this.id, stack, services: [...services], sources };
    await Promise.all(this.#agents.map((agent) => agent.expect(order)));
    this.#arrivals.follow(this.#agents);
  }

  /** As {@link Arrivals.waitFor}. */
  async arrivals(
    keys: readonly string[],
    services: readonly ClusterService[],
    generations: ReadonlyMap<string, number>,
    timeoutMs: number,
    adapt?: () => Promise<void>,
  ): Promise<ReadonlyMap<string, Arrival>> {
    await failPoint('coordinator.arrivals');
    return this.#arrivals.waitFor(keys, services, generations, timeoutMs, adapt);
  }

  /** Fetches and lays out the saved state of every arrival. @param snapshotKey opens it @returns bytes fetched, by task key */
  async stage(
    saved: readonly SavedTask[],
    inMemory: boolean,
    snapshotKey?: Buffer,
  ): Promise<ReadonlyMap<string, number>> {
    await failPoint('coordinator.stage');
    const fetched = new Map<string, number>();
    await this.#each(saved, 'fetch', async (task, arrival, settings) => {
      const sources = this.#session.nodes
        .toSorted((a, b) => Number(b.hostname === task.node) - Number(a.hostname === task.node))
        .map((node) => ({ node: node.hostname, address: node.agentAddress }));
      const reply = await arrival.agent.stage(
        {
          restoreId: this.id,
          containerId: arrival.containerId,
          savedTask: task.ref,
          parts: [...task.parts],
          sources,
          inMemory,
          ...(snapshotKey === undefined ? {} : { snapshotKey }),
          ticket: issueFetchTicket(this.#session.signer, {
            restoreId: this.id,
            node: arrival.agent.node,
            sha256: task.parts.map(({ sha256 }) => sha256),
            expiresAtMs: Date.now() + LONGEST_TICKET_MS,
          }),
        },
        settings,
      );
      fetched.set(task.key, reply.fetchedBytes);
      return `${megabytes(reply.fetchedBytes)} to ${arrival.agent.node}`;
    });
    return fetched;
  }

  /** Restores every arrival, blocked. @returns milliseconds that each took, by task key */
  async restore(
    saved: readonly SavedTask[],
    plans: ReadonlyMap<string, TaskPlan>,
  ): Promise<ReadonlyMap<string, number>> {
    await failPoint('coordinator.restore');
    const times = new Map<string, number>();
    await this.#each(saved, 'restore', async (task, arrival, settings) => {
      const plan = plans.get(task.key);
      const { wallMs } = await arrival.agent.restore(
        {
          restoreId: this.id,
          containerId: arrival.containerId,
          network: networkMessage(plan),
          connections: [...task.connections],
          ...(plan?.proxy === undefined ? {} : { proxy: proxyMessage(plan.proxy) }),
        },
        settings,
      );
      times.set(task.key, wallMs);
      return `${wallMs} ms`;
    });
    return times;
  }

  /**
   * The last question before the commit: nothing is lost, and every old task stands still until it is told that its successor runs, or that it
   * goes on itself.
   * @param dropSpares of what the cluster says of the services' tasks: has it give up what it wants beside the new ones. True: it did
   * @returns who is released and who is retired by the commit
   */
  async prepare(
    dropSpares: (tasks: readonly ClusterTask[]) => Promise<boolean>,
  ): Promise<Pick<CommitRecord, 'released' | 'retired'>> {
    this.#arrivals.check();
    await failPoint('coordinator.prepare-retirement');
    const wanted = async (): Promise<void> => {
      const tasks = await this.#arrivals.stillWanted();
      if (await dropSpares(tasks)) await this.#arrivals.stillWanted();
    };
    await Promise.all([this.old.prepareRetirement(), wanted()]);
    const released = [...this.#arrivals.all.values()].map((arrival) => ({
      ...memberOf(arrival),
      taskId: arrival.task.taskId,
    }));
    return { released, retired: this.old.stopped.map(memberOf) };
  }

  /** Does what the commit record says. @throws as {@link carryOut}; nothing may be undone then */
  carryOut(commit: CommitRecord): Promise<void> {
    return carryOut(commit, {
      ctx: this.#ctx,
      restoreId: this.id,
      agent: (node) => this.#session.agents.of(node),
      // These agents were there a moment ago: one that does not know the task has lost it.
      runs: () => Promise.resolve(false),
    });
  }

  /**
   * Gives up: new containers fail, old tasks go on. Never throws.
   * @param undone of the services, which are back as they were. Undefined: they are not, and agents go on expecting containers until the next command
   *   has put them back
   * @returns whether every agent knows
   */
  async abort(reason: string, undone: Generations | undefined): Promise<boolean> {
    const servicesAreBack = undone !== undefined && (await this.#nothingStarts(undone, []));
    if (servicesAreBack) await this.#arrivals.passOthers();
    this.#arrivals.stop();
    const agents = new Set([...this.#agents, ...this.old.agents]);
    let told = servicesAreBack;
    await Promise.all(
      [...agents].map(async (agent) => {
        try {
          await agent.abortRestore({ restoreId: this.id, reason, servicesAreBack });
        } catch (error) {
          told = false;
          this.#ctx.emit({
            kind: 'warning',
            message: `node ${agent.node} could not be told to give up (${messageOf(error)}); it is told when it answers`,
          });
        }
      }),
    );
    return told;
  }

  /** Never throws. @returns whether no task of it can start any more that is not to */
  async #nothingStarts(made: Generations, released: readonly ClusterTask[]): Promise<boolean> {
    try {
      const question = { id: this.id, stack: this.#stack, made, released, agents: this.#agents };
      const open = await nothingStarts(this.#ctx, this.#session, question);
      if (open.length === 0) return true;
      this.#ctx.emit({ kind: 'warning', message: startingText(this.id, open) });
    } catch (error) {
      this.#ctx.emit({
        kind: 'warning',
        message: `cannot see whether Swarm has ended all tasks of ${this.id} that are not to start: ${messageOf(error)}`,
      });
    }
    return false;
  }

  /** Waits until nothing else that was made for it can start. To be called before {@link end}. Never throws. */
  async othersEnd(made: Generations): Promise<void> {
    const released = [...this.#arrivals.all.values()].map(({ task }) => task);
    await this.#nothingStarts(made, released);
  }

  /** The new tasks run: agents forget the relocation. Never throws. @returns whether every agent knows */
  async end(): Promise<boolean> {
    await failPoint('coordinator.end');
    await this.#arrivals.passOthers();
    this.#arrivals.stop();
    let told = true;
    await Promise.all(
      this.#agents.map((agent) =>
        agent.endRestore({ restoreId: this.id }).catch((error: unknown) => {
          told = false;
          this.#ctx.log.warn({ node: agent.node, reason: messageOf(error) }, 'cannot end the restore');
        }),
      ),
    );
    return told;
  }

  /** Nobody is listened to any more. */
  leave(): void {
    this.#arrivals.stop();
  }

  async #each(
    saved: readonly SavedTask[],
    step: string,
    act: (task: SavedTask, arrival: Arrival, settings: CallSettings) => Promise<string>,
  ): Promise<void> {
    const { emit } = this.#ctx;
    const results = await Promise.allSettled(
      saved.map(async (task) => {
        const arrival = this.#arrivals.all.get(task.key);
        if (arrival === undefined) throw new SwarmcutError('internal', `no container waits for ${task.key}`);
        emit({ kind: 'step-begun', task: task.key, step });
        const begun = performance.now();
        const note = (doing: string): void => {
          const since = seconds(performance.now() - begun);
          const what = `${step} ${task.key} on ${arrival.agent.node}`;
          this.#atWork.set(task.key, doing === '' ? what : `${what}, after ${since}: ${doing}`);
        };
        note('');
        const settings = { signal: AbortSignal.any([this.#ctx.signal, this.old.ranOut]), onProgress: note };
        try {
          emit({ kind: 'step-done', task: task.key, step, detail: await act(task, arrival, settings) });
          this.#atWork.delete(task.key);
        } catch (error) {
          emit({ kind: 'step-failed', task: task.key, step, reason: messageOf(error) });
          if (!(error instanceof SwarmcutError)) throw error;
          throw new SwarmcutError(error.code, `cannot ${step} ${task.key} on ${arrival.agent.node}: ${error.message}`, {
            where: { ...error.where, node: arrival.agent.node, service: task.ref.service, slot: task.ref.slot },
            cause: error,
            ...(error.advice === undefined ? {} : { advice: error.advice }),
          });
        }
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    this.#arrivals.check();
  }
}

function memberOf({ key, agent, containerId }: OldTask): Member {
  return { key, node: agent.node, containerId };
}
