import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { taskKey } from '../../../src/model/task.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { ClusterSession } from '../session/session.ts';
import type { ClusterService, ClusterTask } from '../../orchestrator/index.ts';
import { RestoreWatch, type WatchedEvent } from './watch.ts';

/** A new container that waits in the shim for its saved state. */
export interface Arrival {
  readonly key: string;
  readonly task: ClusterTask;
  readonly containerId: string;
  readonly agent: AgentClient;
}

interface Sought {
  readonly keys: ReadonlySet<string>;
  readonly services: readonly ClusterService[];
  /** By service id. */
  readonly generations: ReadonlyMap<string, number>;
}

/** The new containers of a relocation, as agents announce them: waits for them, and notices when one of them is lost. */
export class Arrivals {
  readonly #ctx: CoordinatorContext;
  readonly #session: ClusterSession;
  readonly #restoreId: string;
  readonly #watch: RestoreWatch;
  readonly #arrivals = new Map<string, Arrival>();
  /** Waiting containers on which nothing is decided: those that have just come, and spare ones. */
  #candidates: WatchedEvent[] = [];
  /** The old tasks stop: what is lost from now on cannot be made up for. */
  #complete = false;
  /** What {@link waitFor} waits for. */
  #sought: Sought = { keys: new Set(), services: [], generations: new Map() };
  #failure: SwarmcutError | undefined;
  #wake: () => void = () => undefined;

  constructor(ctx: CoordinatorContext, session: ClusterSession, restoreId: string) {
    this.#ctx = ctx;
    this.#session = session;
    this.#restoreId = restoreId;
    this.#watch = new RestoreWatch(
      restoreId,
      (event) => this.#onEvent(event),
      (error) => this.#fail(error),
    );
  }

  /** By task key. Complete after {@link waitFor}. */
  get all(): ReadonlyMap<string, Arrival> {
    return this.#arrivals;
  }

  follow(agents: readonly AgentClient[]): void {
    for (const agent of agents) this.#watch.follow(agent);
  }

  stop(): void {
    this.#watch.stop();
  }

  /**
   * Waits until a container of the new generation waits for each of these tasks.
   * @param generations of the new tasks, by service id; they may change meanwhile
   * @param adapt called now and then, since services may be changed by others
   * @throws SwarmcutError `failed` at the time-out, with what Swarm says about the missing ones
   */
  async waitFor(
    keys: readonly string[],
    services: readonly ClusterService[],
    generations: ReadonlyMap<string, number>,
    timeoutMs: number,
    adapt: () => Promise<void> = () => Promise.resolve(),
  ): Promise<ReadonlyMap<string, Arrival>> {
    const deadline = performance.now() + timeoutMs;
    this.#sought = { keys: new Set(keys), services, generations };
    for (const key of keys) this.#ctx.emit({ kind: 'step-begun', task: key, step: 'wait for Swarm' });
    for (;;) {
      this.check();
      await adapt();
      await this.#sort();
      const missing = keys.filter((key) => !this.#arrivals.has(key));
      if (missing.length === 0) {
        this.#complete = true;
        return this.#arrivals;
      }
      if (performance.now() > deadline) throw await this.#lateness(missing, services, generations, timeoutMs);
      await this.#sleep(500);
    }
  }

  /** @throws SwarmcutError `failed` when Swarm has given up one of the new tasks: it would be ended as soon as it runs */
  async stillWanted(): Promise<void> {
    const { services, generations } = this.#sought;
    const tasks = await this.#session.cluster.tasks(services, this.#session.nodes, 'all');
    for (const { key, task, agent } of this.#arrivals.values()) {
      const now = tasks.find(({ taskId }) => taskId === task.taskId);
      if (now !== undefined && isWanted(now, generations)) continue;
      const why = now?.error === undefined || now.error === '' ? '' : ` (${now.error})`;
      throw new SwarmcutError('failed', `Swarm has given up the new task of ${key} on ${agent.node} meanwhile${why}`, {
        where: { node: agent.node, service: task.service, slot: task.slot },
        advice: 'somebody has updated, scaled or removed the service, or its node: run the command again',
      });
    }
  }

  /** Throws what has gone wrong meanwhile: an agent lost, a waiting container gone, the user's Ctrl-C. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ctx.signal.aborted)
      throw new SwarmcutError('interrupted', 'interrupted: everything is put back as it was');
  }

  /**
   * At the end: containers that have come meanwhile and are not of the new generation start as what they are. The others are left to the agents,
   * which fail them. Never throws.
   */
  async passOthers(): Promise<void> {
    try {
      await this.#sort();
    } catch (error) {
      this.#ctx.log.warn({ reason: messageOf(error) }, 'late containers fail, and are made again');
    }
  }

  #onEvent(watched: WatchedEvent): void {
    const { agent, event } = watched;
    this.#ctx.log.debug(
      { node: agent.node, phase: event.phase, task: event.task, detail: event.detail },
      'restore event',
    );
    if (event.phase === 'FETCHING') this.#tellFetched(watched);
    if (event.phase === 'ARRIVED') this.#candidates.push(watched);
    if (event.phase === 'FAILED') {
      const known = [...this.#arrivals.values()].find(({ containerId }) => containerId === event.task?.containerId);
      // Containers that Swarm gave up before we decided on them are not ours to worry about: it makes others.
      if (known !== undefined && !this.#complete) this.#arrivals.delete(known.key);
      this.#candidates = this.#candidates.filter((one) => one.event.task?.containerId !== event.task?.containerId);
      if (known !== undefined && this.#complete) {
        this.#fail(
          new SwarmcutError('failed', `${known.key} on ${agent.node}: ${event.detail}`, {
            where: { node: agent.node, service: known.task.service, slot: known.task.slot },
          }),
        );
      }
    }
    this.#wake();
  }

  #tellFetched({ agent, event }: WatchedEvent): void {
    const arrival = [...this.#arrivals.values()].find(({ containerId }) => containerId === event.task?.containerId);
    if (arrival === undefined) return;
    const { bytesDone, bytesTotal } = event;
    this.#ctx.emit({ kind: 'fetch-progress', task: arrival.key, node: agent.node, bytesDone, bytesTotal });
  }

  #fail(error: SwarmcutError): void {
    this.#failure ??= error;
    this.#wake();
  }

  /**
   * Tells the tasks of the new generation from others that happen to start now (Swarm restarting an old one, or scaling). Swarm may give a new task
   * up and make another one for its slot, when a node is drained or the service is updated: the one that it wants counts.
   */
  async #sort(): Promise<void> {
    const { keys, services, generations } = this.#sought;
    if (this.#candidates.length + this.#arrivals.size === 0) return;
    const tasks = await this.#session.cluster.tasks(services, this.#session.nodes, 'all');
    const byId = new Map(tasks.map((task) => [task.taskId, task]));
    if (!this.#complete) {
      for (const { key, task } of [...this.#arrivals.values()]) {
        const now = byId.get(task.taskId);
        if (now === undefined || !isWanted(now, generations)) this.#arrivals.delete(key);
      }
    }
    for (const candidate of this.#candidates.splice(0)) {
      const { agent, event } = candidate;
      const ref = event.task;
      if (ref === null) continue;
      const task = byId.get(ref.taskId);
      // One that is not wanted any more fails in the end.
      if (task?.wanted === false) continue;
      const generation = task === undefined ? undefined : generations.get(task.serviceId);
      const ours = task !== undefined && generation !== undefined && task.generation >= generation;
      if (!ours || (task.generation === generation && !keys.has(taskKey(task)))) {
        await agent.pass({ restoreId: this.#restoreId, containerId: ref.containerId });
        continue;
      }
      const key = taskKey(task);
      // One of a later generation may become ours.
      if (task.generation !== generation || this.#arrivals.has(key)) {
        this.#candidates.push(candidate);
        continue;
      }
      this.#arrivals.set(key, { key, task, containerId: ref.containerId, agent });
      this.#ctx.emit({ kind: 'step-done', task: key, step: 'wait for Swarm', detail: agent.node });
    }
  }

  async #lateness(
    missing: readonly string[],
    services: readonly ClusterService[],
    generations: ReadonlyMap<string, number>,
    timeoutMs: number,
  ): Promise<SwarmcutError> {
    const tasks = await this.#session.cluster.tasks(services, this.#session.nodes, 'all');
    const reasons = missing.map((key) => {
      const task = tasks.findLast((one) => taskKey(one) === key && one.generation === generations.get(one.serviceId));
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

function isWanted(task: ClusterTask, generations: ReadonlyMap<string, number>): boolean {
  return task.wanted && task.generation === generations.get(task.serviceId);
}
