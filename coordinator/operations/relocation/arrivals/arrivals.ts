import { SwarmcutError, messageOf } from '../../../../src/model/errors.ts';
import { taskKey } from '../../../../src/model/task.ts';
import { ProgressDeadline, passedText, pause, type Passed, type Progress } from '../../../../src/platform/deadlines.ts';
import type { AgentClient } from '../../../../src/rpc/index.ts';
import type { CoordinatorContext } from '../../session/context.ts';
import type { ClusterSession } from '../../session/session.ts';
import type { ClusterService, ClusterTask } from '../../../orchestrator/index.ts';
import { Furthest, statesOf } from '../../transaction/furthest.ts';
import { keptTasks } from '../../transaction/kept-tasks.ts';
import { LostTasks } from './lost-tasks.ts';
import { RestoreWatch, type WatchedEvent } from './watch.ts';

/** How often the cluster is asked for what it has heard nothing of. Milliseconds. */
const LOOK_MS = 500;

/** A new container that waits in the shim for its saved state. */
export interface Arrival {
  /** Of the saved task that it becomes. */
  readonly key: string;
  /** As the cluster has it now: its slot may be another one than that of the saved task. */
  readonly task: ClusterTask;
  readonly containerId: string;
  readonly agent: AgentClient;
}

/** A container that waits, and on which nothing is decided. */
interface Candidate {
  readonly agent: AgentClient;
  readonly taskId: string;
  readonly containerId: string;
}

interface Sought {
  readonly keys: ReadonlySet<string>;
  readonly services: readonly ClusterService[];
  /** By service id. */
  readonly generations: ReadonlyMap<string, number>;
  /** As they were at first: what is between them and the present ones was made for this relocation, too, and is superseded. */
  readonly first: ReadonlyMap<string, number>;
}

/** The new containers of a relocation, as agents announce them: waits for them, and notices when one of them is lost. */
export class Arrivals {
  readonly #ctx: CoordinatorContext;
  readonly #session: ClusterSession;
  readonly #restoreId: string;
  readonly #watch: RestoreWatch;
  readonly #arrivals = new Map<string, Arrival>();
  /** Of the new generation, by their own keys, which no saved task has. */
  readonly #strangers = new Map<string, Omit<Arrival, 'key'>>();
  /** Waiting containers on which nothing is decided: those that have just come, and spare ones. */
  #candidates: Candidate[] = [];
  /** The old tasks stop: what is lost from now on cannot be made up for. */
  #complete = false;
  /** What {@link waitFor} waits for. */
  #sought: Sought = { keys: new Set(), services: [], generations: new Map(), first: new Map() };
  #failure: SwarmcutError | undefined;
  /** Replaced when it was used: something has happened. */
  #woken = new AbortController();

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
   * @param timeoutMs longest time in which none arrives, and nothing changes in what Swarm says of the missing ones
   * @param adapt called now and then, since services may be changed by others
   * @throws SwarmcutError `failed` after it, with what Swarm says about the missing ones, or as soon as one is lost for good
   */
  async waitFor(
    keys: readonly string[],
    services: readonly ClusterService[],
    generations: ReadonlyMap<string, number>,
    timeoutMs: number,
    adapt: () => Promise<void> = () => Promise.resolve(),
  ): Promise<ReadonlyMap<string, Arrival>> {
    using deadline = new ProgressDeadline({ limitMs: timeoutMs, late: lateness });
    const furthest = new Furthest();
    const lost = new LostTasks();
    this.#sought = { keys: new Set(keys), services, generations, first: new Map(generations) };
    for (const key of keys) this.#ctx.emit({ kind: 'step-begun', task: key, step: 'wait for Swarm' });
    for (;;) {
      const { signal } = this.#woken;
      this.check();
      await adapt();
      await this.#sort();
      const missing = keys.filter((key) => !this.#arrivals.has(key));
      if (missing.length === 0) {
        this.#complete = true;
        return this.#arrivals;
      }
      deadline.note(await this.#told(missing, furthest, lost));
      deadline.check();
      // Or until something happens.
      await pause(LOOK_MS, signal).catch(() => undefined);
    }
  }

  /**
   * @returns all tasks of the services, as the cluster has them now
   * @throws SwarmcutError `failed` when Swarm has given up one of the new tasks: it would be ended as soon as it runs
   */
  async stillWanted(): Promise<readonly ClusterTask[]> {
    const { services, generations } = this.#sought;
    const tasks = await this.#session.cluster.tasks(services, this.#session.nodes, 'all');
    const kept = keptTasks(tasks, generations);
    for (const { key, task, agent } of this.#arrivals.values()) {
      if (kept.has(task.taskId)) continue;
      const now = tasks.find(({ taskId }) => taskId === task.taskId);
      const why = now?.error === undefined || now.error === '' ? '' : ` (${now.error})`;
      throw new SwarmcutError('failed', `Swarm has given up the new task of ${key} on ${agent.node} meanwhile${why}`, {
        where: { node: agent.node, service: task.service, slot: task.slot },
        advice: 'somebody has updated, scaled or removed the service, or its node: run the command again',
      });
    }
    return tasks;
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
    if (event.phase === 'ARRIVED' && event.task !== null) this.#candidates.push({ agent, ...event.task });
    if (event.phase === 'FAILED') {
      const known = [...this.#arrivals.values()].find(({ containerId }) => containerId === event.task?.containerId);
      // Containers that Swarm gave up before we decided on them are not ours to worry about: it makes others.
      if (known !== undefined && !this.#complete) this.#arrivals.delete(known.key);
      this.#candidates = this.#candidates.filter(({ containerId }) => containerId !== event.task?.containerId);
      for (const [key, { containerId }] of this.#strangers)
        if (containerId === event.task?.containerId) this.#strangers.delete(key);
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

  #wake(): void {
    this.#woken.abort();
    this.#woken = new AbortController();
  }

  #tellFetched({ agent, event }: WatchedEvent): void {
    const arrival = [...this.#arrivals.values()].find(({ containerId }) => containerId === event.task?.containerId);
    if (arrival === undefined) return;
    const { bytesDone, bytesTotal, detail } = event;
    if (detail !== '') this.#ctx.emit({ kind: 'warning', message: `${arrival.key} on ${agent.node}: ${detail}` });
    else this.#ctx.emit({ kind: 'fetch-progress', task: arrival.key, node: agent.node, bytesDone, bytesTotal });
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
    const { keys, services, generations, first } = this.#sought;
    if (this.#candidates.length + this.#arrivals.size === 0) return;
    // Those that come while the cluster is asked may be of tasks that it had not made then.
    const asked = [...this.#candidates];
    const tasks = await this.#session.cluster.tasks(services, this.#session.nodes, 'all');
    const byId = new Map(tasks.map((task) => [task.taskId, task]));
    const kept = keptTasks(tasks, generations);
    if (!this.#complete) asked.push(...this.#displace(kept, byId));
    for (const candidate of asked) {
      // It may have failed meanwhile.
      const index = this.#candidates.indexOf(candidate);
      if (index < 0) continue;
      this.#candidates.splice(index, 1);
      const { agent, taskId, containerId } = candidate;
      const task = byId.get(taskId);
      // One that is not wanted any more fails in the end.
      if (task?.wanted === false) continue;
      const generation = task === undefined ? undefined : generations.get(task.serviceId);
      const ours =
        task !== undefined && generation !== undefined && task.generation >= (first.get(task.serviceId) ?? 0);
      if (!ours || (task.generation === generation && savedKeys(this.#sought, task.service).length === 0)) {
        await agent.pass({ restoreId: this.#restoreId, containerId });
        continue;
      }
      const key = taskKey(task);
      const arrival = { task, containerId, agent };
      // One of a later generation may become ours, and so may one beside it; one of an earlier generation waits, and fails in the end.
      if (!kept.has(taskId) || this.#arrivals.has(key) || this.#strangers.has(key)) {
        this.#candidates.push(candidate);
        continue;
      }
      if (keys.has(key)) this.#note({ ...arrival, key });
      else this.#strangers.set(key, arrival);
    }
    await this.#assignStrangers(tasks);
  }

  /**
   * A service that is made again counts its slots from 1, whatever they were: after scaling down, or a node's loss, others may be left. Tasks of one
   * service are alike, so that those whose slot nobody has saved take the places of saved tasks whose slot does not come.
   */
  async #assignStrangers(tasks: readonly ClusterTask[]): Promise<void> {
    const kept = keptTasks(tasks, this.#sought.generations);
    const coming = new Set(tasks.filter(({ taskId }) => kept.has(taskId)).map(taskKey));
    for (const service of new Set([...this.#strangers.values()].map(({ task }) => task.service))) {
      const open = savedKeys(this.#sought, service).filter((key) => !this.#arrivals.has(key));
      const strangers = [...this.#strangers].filter(([, { task }]) => task.service === service);
      // Only when all are there is it known which slots do not come.
      if (strangers.length < open.length || open.some((key) => coming.has(key))) continue;
      strangers.sort(([a], [b]) => bySlot(a, b));
      for (const [index, key] of open.entries()) {
        const [own, arrival] = strangers[index] ?? [];
        if (own === undefined || arrival === undefined) break;
        this.#strangers.delete(own);
        this.#note({ ...arrival, key });
      }
      // All have come: what is beyond them starts as what it is, as after scaling up.
      const complete = savedKeys(this.#sought, service).every((key) => this.#arrivals.has(key));
      for (const [own, { task, agent, containerId }] of complete ? [...this.#strangers] : []) {
        if (task.service !== service) continue;
        this.#strangers.delete(own);
        await agent.pass({ restoreId: this.#restoreId, containerId });
      }
    }
  }

  /** Arrivals that do not count any more. @returns those that go on waiting: the one that counts instead may be given up, too */
  #displace(kept: ReadonlySet<string>, byId: ReadonlyMap<string, ClusterTask>): Candidate[] {
    const waiting: Candidate[] = [];
    for (const places of [this.#arrivals, this.#strangers])
      for (const [key, { task, agent, containerId }] of [...places]) {
        if (kept.has(task.taskId)) continue;
        places.delete(key);
        if (byId.get(task.taskId)?.wanted === true) waiting.push({ agent, taskId: task.taskId, containerId });
      }
    this.#candidates.push(...waiting);
    return waiting;
  }

  #note(arrival: Arrival): void {
    this.#arrivals.set(arrival.key, arrival);
    this.#ctx.emit({ kind: 'step-done', task: arrival.key, step: 'wait for Swarm', detail: arrival.agent.node });
  }

  /** What the cluster says of tasks that have not arrived. */
  async #told(missing: readonly string[], furthest: Furthest, lost: LostTasks): Promise<Progress> {
    const { services, generations } = this.#sought;
    const all = await this.#session.cluster.tasks(services, this.#session.nodes, 'all');
    const made = all.filter((task) => task.generation === generations.get(task.serviceId));
    lost.look(missing, all, services, generations);
    const doing = missing.map((key) => {
      const task = made.findLast((one) => taskKey(one) === key);
      return task === undefined ? `${key}: Swarm has made no new task` : statesOf([task]);
    });
    return { doing: doing.join('; '), mark: `${furthest.note(made)} ${this.#arrivals.size}` };
  }
}

function lateness(passed: Passed): SwarmcutError {
  return new SwarmcutError('failed', `Swarm does not start every task: ${passedText(passed)}`, {
    advice:
      'look at `docker service ps --no-trunc SERVICE`; is there a node that satisfies its constraints and has the image? If pulling it takes longer, give --timeout',
  });
}

/** Keys of the saved tasks of a service, in the order of their slots. Names of services, and of nodes (the slots of a global one), may have dots. */
function savedKeys({ keys, services }: Sought, service: string): string[] {
  const isGlobal = services.find(({ name }) => name === service)?.mode === 'global';
  const prefix = `${service}.`;
  return [...keys]
    .filter((key) => key.startsWith(prefix) && (isGlobal || /^\d+$/.test(key.slice(prefix.length))))
    .sort(bySlot);
}

function bySlot(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
