import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { Connection } from '../../../src/model/connection.ts';
import { taskKey, type TaskRef } from '../../../src/model/task.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { Part } from '../../../src/model/checkpoint.ts';
import { megabytes } from '../../../src/model/size.ts';
import type { NetworkPlan } from '../../../src/rpc/generated/swarmcut/NetworkPlan.ts';
import type { ProxyPlan } from '../../../src/rpc/generated/swarmcut/ProxyPlan.ts';
import type { CoordinatorContext } from '../../api.ts';
import type { Session } from '../../orchestrator/swarm/session.ts';
import type { SwarmService, SwarmTask } from '../../orchestrator/swarm/types.ts';
import type { TaskPlan } from './plans.ts';
import { RestoreWatch, type WatchedEvent } from './watch.ts';

/** While the new tasks are being released, the old ones stay frozen for this long. Milliseconds. */
const RELEASE_MS = 30_000;

/** A new container that waits in the shim for its saved state. */
export interface Arrival {
  readonly key: string;
  readonly task: SwarmTask;
  readonly containerId: string;
  readonly agent: AgentClient;
}

/** An old task that must not run on beside the new one. */
export interface OldTask {
  readonly key: string;
  readonly containerId: string;
  readonly agent: AgentClient;
}

/** One saved task, and who has its parts. */
export interface SavedTask {
  readonly key: string;
  readonly ref: TaskRef;
  readonly parts: readonly Part[];
  readonly connections: readonly Connection[];
  readonly node: string;
}

/**
 * What restore and migrate share: agents hold back the new containers, old tasks are suspended, state is laid into the new ones, everything is
 * restored blocked, and then either all go on in the new place or all in the old.
 */
export class Relocation {
  readonly id: string;
  readonly #ctx: CoordinatorContext;
  readonly #session: Session;
  readonly #agents: readonly AgentClient[];
  readonly #watch: RestoreWatch;
  readonly #arrivals = new Map<string, Arrival>();
  readonly #candidates: WatchedEvent[] = [];
  #suspended: OldTask[] = [];
  #failure: SwarmcutError | undefined;
  #wake: () => void = () => undefined;
  #released = false;

  /** @param agents of every node on which Swarm may place the new tasks */
  constructor(ctx: CoordinatorContext, session: Session, id: string, agents: readonly AgentClient[]) {
    this.#ctx = ctx;
    this.#session = session;
    this.id = id;
    this.#agents = agents;
    this.#watch = new RestoreWatch(
      id,
      (event) => this.#onEvent(event),
      (error) => this.#fail(error),
    );
  }

  /** From now on, new containers of these services wait on every agent. */
  async expect(services: readonly string[]): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.expect({ restoreId: this.id, services: [...services] })));
    for (const agent of this.#agents) this.#watch.follow(agent);
  }

  /**
   * Waits until a container of the new generation waits for each of these tasks.
   * @param generations the `ForceUpdate` of the new tasks, by service id
   * @throws SwarmcutError `failed` at the time-out, with what Swarm says about the missing ones
   */
  async arrivals(
    keys: readonly string[],
    services: readonly SwarmService[],
    generations: ReadonlyMap<string, number>,
    timeoutMs: number,
  ): Promise<ReadonlyMap<string, Arrival>> {
    const deadline = performance.now() + timeoutMs;
    for (const key of keys) this.#ctx.reporter.begin(key, 'wait for Swarm');
    for (;;) {
      this.check();
      await this.#sort(new Set(keys), services, generations);
      const missing = keys.filter((key) => !this.#arrivals.has(key));
      if (missing.length === 0) return this.#arrivals;
      if (performance.now() > deadline) throw await this.#lateness(missing, services, generations, timeoutMs);
      await this.#sleep(500);
    }
  }

  /** Throws what has gone wrong meanwhile: an agent lost, a waiting container gone, the user's Ctrl-C. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ctx.signal.aborted)
      throw new SwarmcutError('interrupted', 'interrupted: everything is put back as it was');
  }

  /** Holds and freezes the old tasks; they go on if the relocation fails. */
  async suspend(tasks: readonly OldTask[], deadlineMs: number): Promise<void> {
    this.adopt(tasks);
    await Promise.all(
      tasks.map(({ agent, containerId }) => agent.suspend({ restoreId: this.id, containerId, deadlineMs })),
    );
  }

  /** Old tasks that a round has left frozen: from now on the relocation answers for them. */
  adopt(tasks: readonly OldTask[]): void {
    this.#suspended = [...this.#suspended, ...tasks];
  }

  /** Fetches and lays out the saved state of every arrival. @returns bytes fetched, by task key */
  async stage(saved: readonly SavedTask[], inMemory: boolean): Promise<ReadonlyMap<string, number>> {
    const fetched = new Map<string, number>();
    await this.#each(saved, 'fetch', async (task, arrival) => {
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
        },
        { signal: this.#ctx.signal },
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
    const times = new Map<string, number>();
    await this.#each(saved, 'restore', async (task, arrival) => {
      const plan = plans.get(task.key);
      const { wallMs } = await arrival.agent.restore(
        {
          restoreId: this.id,
          containerId: arrival.containerId,
          network: networkMessage(plan),
          connections: [...task.connections],
          ...(plan?.proxy === undefined ? {} : { proxy: proxyMessage(plan.proxy) }),
        },
        { signal: this.#ctx.signal },
      );
      times.set(task.key, wallMs);
      return `${wallMs} ms`;
    });
    return times;
  }

  /**
   * The point of no return: the new tasks run, the old ones end as soon as Swarm lets go of them.
   * @param note what has to be on disk before that; done while the old tasks are being asked
   */
  async release(note: () => Promise<void>): Promise<void> {
    this.check();
    // Fails if an old task was frozen for too long and runs on: then its successor must not. Marked before the release, since the
    // engine's `kill` may come as soon as the first new task is seen running.
    await Promise.all([
      note(),
      ...this.#suspended.map(({ agent, containerId }) =>
        agent.suspend({ restoreId: this.id, containerId, deadlineMs: RELEASE_MS, moving: true }),
      ),
    ]);
    this.#released = true;
    await Promise.all(
      [...this.#arrivals.values()].map(async ({ agent, containerId, key }) => {
        await agent.releaseRestored({ restoreId: this.id, containerId });
        this.#ctx.reporter.done(key, 'run');
      }),
    );
    await Promise.all(
      this.#suspended.map(({ agent, containerId }) =>
        agent.endSuspension({ restoreId: this.id, containerId, moved: true }),
      ),
    );
  }

  /** Gives up: new containers fail, old tasks go on. Never throws. Without effect after {@link release}. */
  async abort(reason: string): Promise<void> {
    this.#watch.stop();
    if (this.#released) return;
    const agents = new Set([...this.#agents, ...this.#suspended.map(({ agent }) => agent)]);
    await Promise.all(
      [...agents].map(async (agent) => {
        try {
          await agent.abortRestore({ restoreId: this.id, reason });
        } catch (error) {
          this.#ctx.reporter.info(
            `node ${agent.node} could not be told to give up (${messageOf(error)}); its own deadlines will`,
          );
        }
      }),
    );
  }

  /** The new tasks run: agents forget the relocation. Never throws. */
  async end(): Promise<void> {
    this.#watch.stop();
    await Promise.all(
      this.#agents.map((agent) =>
        agent.endRestore({ restoreId: this.id }).catch((error: unknown) => {
          this.#ctx.log.warn({ node: agent.node, reason: messageOf(error) }, 'cannot end the restore');
        }),
      ),
    );
  }

  async #each(
    saved: readonly SavedTask[],
    step: string,
    act: (task: SavedTask, arrival: Arrival) => Promise<string>,
  ): Promise<void> {
    const { reporter } = this.#ctx;
    const results = await Promise.allSettled(
      saved.map(async (task) => {
        const arrival = this.#arrivals.get(task.key);
        if (arrival === undefined) throw new SwarmcutError('internal', `no container waits for ${task.key}`);
        reporter.begin(task.key, step);
        try {
          reporter.done(task.key, step, await act(task, arrival));
        } catch (error) {
          reporter.failed(task.key, step, messageOf(error));
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
    this.check();
  }

  #onEvent(watched: WatchedEvent): void {
    const { agent, event } = watched;
    this.#ctx.log.debug(
      { node: agent.node, phase: event.phase, task: event.task, detail: event.detail },
      'restore event',
    );
    if (event.phase === 'ARRIVED') this.#candidates.push(watched);
    if (event.phase === 'FAILED') {
      const known = [...this.#arrivals.values()].find(({ containerId }) => containerId === event.task?.containerId);
      // Containers that Swarm gave up before we decided on them are not ours to worry about.
      if (known !== undefined) {
        this.#fail(
          new SwarmcutError('failed', `${known.key} on ${agent.node}: ${event.detail}`, {
            where: { node: agent.node, service: known.task.service, slot: known.task.slot },
          }),
        );
      }
    }
    this.#wake();
  }

  #fail(error: SwarmcutError): void {
    this.#failure ??= error;
    this.#wake();
  }

  /** Tells the tasks of the new generation from others that happen to start now (Swarm restarting an old one). */
  async #sort(
    keys: ReadonlySet<string>,
    services: readonly SwarmService[],
    generations: ReadonlyMap<string, number>,
  ): Promise<void> {
    if (this.#candidates.length === 0) return;
    const tasks = await this.#session.swarm.tasks(services, this.#session.nodes);
    for (const { agent, event } of this.#candidates.splice(0)) {
      const ref = event.task;
      if (ref === null) continue;
      const task = tasks.find(({ taskId }) => taskId === ref.taskId);
      const wanted =
        task !== undefined && task.forceUpdate === generations.get(task.serviceId) && keys.has(taskKey(task));
      if (!wanted) {
        await agent.pass({ restoreId: this.id, containerId: ref.containerId });
        continue;
      }
      const key = taskKey(task);
      if (this.#arrivals.has(key)) {
        this.#fail(
          new SwarmcutError('failed', `Swarm has started ${key} twice`, {
            where: { service: task.service, slot: task.slot },
          }),
        );
        return;
      }
      this.#arrivals.set(key, { key, task, containerId: ref.containerId, agent });
      this.#ctx.reporter.done(key, 'wait for Swarm', agent.node);
    }
  }

  async #lateness(
    missing: readonly string[],
    services: readonly SwarmService[],
    generations: ReadonlyMap<string, number>,
    timeoutMs: number,
  ): Promise<SwarmcutError> {
    const tasks = await this.#session.swarm.tasks(services, this.#session.nodes);
    const reasons = missing.map((key) => {
      const task = tasks.findLast((one) => taskKey(one) === key && one.forceUpdate === generations.get(one.serviceId));
      if (task === undefined) return `${key}: Swarm has made no new task`;
      return `${key}: ${task.state}${task.node && ` on ${task.node}`}${task.error && ` (${task.error})`}`;
    });
    return new SwarmcutError(
      'failed',
      `Swarm did not start every task within ${timeoutMs / 1000} s: ${reasons.join('; ')}`,
      {
        advice:
          'look at `docker service ps --no-trunc SERVICE`; is there a node that satisfies its constraints and has the image?',
      },
    );
  }

  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The generated message types want arrays that may be changed. */
function networkMessage(plan: TaskPlan | undefined): NetworkPlan {
  if (plan === undefined) return {};
  const { subnets, ownAddresses, rewrites, close, aliases, unsent } = plan.network;
  return {
    subnets: [...subnets],
    ownAddresses: [...ownAddresses],
    rewrites: [...rewrites],
    close: [...close],
    aliases: [...aliases],
    unsent: [...unsent],
  };
}

function proxyMessage({ stack, epoch, streams, former }: NonNullable<TaskPlan['proxy']>): ProxyPlan {
  return { stack, epoch, streams: [...streams], former: [...former] };
}
