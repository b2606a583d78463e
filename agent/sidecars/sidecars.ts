import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import type { Directories } from '../../src/model/paths.ts';
import type { ProxyPlan } from '../../src/model/plans/proxy-plan.ts';
import { taskKey, type TaskRef } from '../../src/model/task.ts';
import type { Sidecar } from '../../src/rpc/generated/swarmcut/Sidecar.ts';
import type { Logger } from '../../src/platform/logger.ts';
import type { Containers } from '../runtime/docker/containers.ts';
import type { SidecarRestore } from '../../src/rpc/control/start-config.ts';
import { spawnSidecar } from './sidecar-process.ts';
import type { StartRequest } from '../runtime/shim/protocol.ts';
import { placementOf } from './placement.ts';
import type { Registrations } from './registrations.ts';
import { stackKey } from './stack-key.ts';
import { LOG_FILE, TaskSidecar, readSidecarConfig } from './task-sidecar.ts';
import type { SidecarConfig } from './task-sidecar.ts';

/** How often it is looked whether tasks of adopted sidecars are still there, should their sidecars not end by themselves. Milliseconds. */
const SWEEP_MS = 5_000;

/** What tells sidecars who else is on their networks (discovery.ts). */
export interface NetworkViewWatch {
  /** From now on `sidecar` is told of the view of its stack's networks, at once and at every change. */
  add(sidecar: TaskSidecar): void;
  remove(sidecar: TaskSidecar): void;
  close(): void;
}

/** What a restored task has behind it. */
interface Restoration {
  readonly previousAddresses: readonly string[];
  readonly restore: SidecarRestore;
}

export interface SidecarsOptions {
  readonly directories: Directories;
  readonly containers: Pick<Containers, 'engine'>;
  /** The engine's data directory. */
  readonly dataRoot: string;
  readonly nodeName: string;
  readonly registrations: Registrations;
  readonly views: NetworkViewWatch;
  readonly log: Logger;
}

/** The sidecars of this node's tasks. They outlive the agent: an agent that starts takes over those it finds. */
export class Sidecars {
  readonly #options: SidecarsOptions;
  readonly #dir: string;
  readonly #sidecars = new Map<string, TaskSidecar>();
  /** Processes for sidecars that will be wanted soon. */
  readonly #spares = new Map<string, ChildProcess>();
  /** Attaches under way, so that a repeated call joins. */
  readonly #attaching = new Map<string, Promise<TaskSidecar>>();
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: SidecarsOptions) {
    this.#options = options;
    this.#dir = join(options.directories.run, 'sidecars');
  }

  /**
   * Takes over the sidecars of an earlier agent. Tasks that should have one and have none (they were started while there was no agent) get
   * one in the background.
   */
  async open(): Promise<void> {
    const { log, registrations } = this.#options;
    for (const file of await registrations.open()) log.error({ file }, 'a registration of sidecars cannot be read');
    for (const name of await readdir(this.#dir).catch(() => [])) {
      const dir = join(this.#dir, name);
      try {
        const sidecar = await this.#make(dir, await readSidecarConfig(dir));
        await sidecar.adopt();
        // Tasks that an earlier agent had made to stand still go on (agent/tasks/recover.ts).
        await sidecar.call('release');
        this.#sidecars.set(name, sidecar);
        log.info({ task: taskKey(sidecar.task) }, 'took over a sidecar');
      } catch (error) {
        log.warn({ container: name, reason: messageOf(error) }, 'a sidecar is gone');
        await rm(dir, { recursive: true, force: true });
      }
    }
    this.#sweeper = setInterval(() => void this.#sweep(), SWEEP_MS).unref();
    void this.#attachMissing().catch((error: unknown) =>
      log.error({ reason: messageOf(error) }, 'cannot look for tasks without their sidecar'),
    );
  }

  /** The agent ends; the sidecars do not. */
  close(): void {
    clearInterval(this.#sweeper);
    this.#options.views.close();
    for (const sidecar of this.#sidecars.values()) sidecar.leave();
    this.#sidecars.clear();
  }

  /** The shim is about to start this container: it gets its sidecar first, if it is to have one. */
  async start({ containerId, service, labels }: StartRequest): Promise<void> {
    if (!this.#options.registrations.declares(service, labels)) return;
    await this.ensure(containerId);
  }

  /** @param tasks running on this node, to be attached now */
  async attach(stack: string, services: readonly string[], tasks: readonly TaskRef[]): Promise<Sidecar[]> {
    await this.#options.registrations.set(stack, services);
    const sidecars = await Promise.all(tasks.map(({ containerId }) => this.ensure(containerId)));
    return Promise.all(sidecars.map(describe));
  }

  async detach(stack: string): Promise<void> {
    await this.#options.registrations.remove(stack);
    const results = await Promise.allSettled(this.#of(stack).map((sidecar) => this.#end(sidecar)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async list(stack: string): Promise<Sidecar[]> {
    return Promise.all(this.#of(stack).map(describe));
  }

  /** The sidecar of a container, if it has one. */
  of(containerId: string): TaskSidecar | undefined {
    return this.#sidecars.get(containerId);
  }

  /** Starts the sidecar of a container whose `create` is over, or gives the one that it has. */
  async ensure(containerId: string): Promise<TaskSidecar> {
    return this.#sidecars.get(containerId) ?? this.#attach(containerId, 0);
  }

  /** A container waits to be restored and will need a sidecar: what takes time without needing the container is done now. */
  warmUp(containerId: string): void {
    if (this.#spares.has(containerId)) return;
    const dir = join(this.#dir, containerId);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const spare = spawnSidecar(join(dir, LOG_FILE));
    this.#spares.set(containerId, spare);
    spare.once('exit', () => {
      if (this.#spares.get(containerId) === spare) this.#spares.delete(containerId);
    });
  }

  /** Starts the sidecar of a restored container, which is still blocked, from its record. @throws SwarmcutError with the sidecar's own words */
  async attachRestored(
    containerId: string,
    restore: SidecarRestore & { readonly plan: Pick<ProxyPlan, 'epoch' | 'previousAddresses'> },
  ): Promise<TaskSidecar> {
    const present = this.#sidecars.get(containerId);
    if (present !== undefined) await this.#end(present);
    const { epoch, previousAddresses } = restore.plan;
    return this.#attach(containerId, epoch, { previousAddresses, restore });
  }

  /**
   * The task stands still, and may have a successor soon: its sidecar must not go on in its name, as by offering a connection that it was just
   * making to the successor of the one it was meant for. None is no error.
   * @param forMs it goes on by itself after so long
   */
  async block(containerId: string, forMs: number): Promise<void> {
    await this.#sidecars.get(containerId)?.call('block', { forMs });
  }

  /** The task goes on. Never rejects: a sidecar that has died blocks nothing, and neither does the one that takes its place. */
  async release(containerId: string): Promise<void> {
    await this.#sidecars
      .get(containerId)
      ?.call('release')
      .catch(() => undefined);
  }

  /** Ends the sidecar of a container, also one that is only being prepared or started. None is no error. */
  async end(containerId: string): Promise<void> {
    this.#spares.get(containerId)?.kill('SIGKILL'); // what is being attached with it fails at once
    await this.#attaching.get(containerId)?.catch(() => undefined);
    const sidecar = this.#sidecars.get(containerId);
    if (sidecar !== undefined) await this.#end(sidecar);
    await this.#clear(containerId);
  }

  /** Ends a process that waits to be told whose sidecar it is, and removes the folder, which may also be there without one. */
  async #clear(containerId: string): Promise<void> {
    this.#spares.get(containerId)?.kill('SIGKILL');
    this.#spares.delete(containerId);
    await rm(join(this.#dir, containerId), { recursive: true, force: true });
  }

  /** A restored container that goes on: if its checkpoint had no sidecar and its service wants one, it gets it now. */
  async afterRestore(task: TaskRef, labels: Readonly<Record<string, string>>): Promise<void> {
    if (this.#options.registrations.declares(task.service, labels)) await this.ensure(task.containerId);
  }

  #attach(containerId: string, epoch: number, earlier?: Restoration): Promise<TaskSidecar> {
    const inFlight = this.#attaching.get(containerId);
    if (inFlight !== undefined) return inFlight;
    const attaching = this.#attachNow(containerId, epoch, earlier).finally(() => this.#attaching.delete(containerId));
    this.#attaching.set(containerId, attaching);
    return attaching;
  }

  async #attachNow(containerId: string, epoch: number, earlier?: Restoration): Promise<TaskSidecar> {
    const { containers, dataRoot, nodeName, log } = this.#options;
    const begun = performance.now();
    this.warmUp(containerId);
    try {
      const placement = await placementOf(containerId, { engine: containers.engine, dataRoot, nodeName });
      const { task, stack, pid, subnets, own } = placement;
      const previousAddresses = [...(earlier?.previousAddresses ?? [])];
      const config = { task, stack, pid, epoch, subnets: [...subnets], own: [...own], previousAddresses, starts: 0 };
      const sidecar = await this.#make(join(this.#dir, containerId), config, this.#spares.get(containerId));
      this.#spares.delete(containerId);
      await sidecar.attach(earlier?.restore);
      this.#sidecars.set(containerId, sidecar);
      log.info({ task: taskKey(task), own, ms: Math.round(performance.now() - begun) }, 'attached a sidecar');
      return sidecar;
    } catch (error) {
      await this.#clear(containerId);
      throw error;
    }
  }

  async #make(dir: string, config: SidecarConfig, spare?: ChildProcess): Promise<TaskSidecar> {
    const { directories, views, log } = this.#options;
    return new TaskSidecar({
      dir,
      config,
      key: await stackKey(directories.config, config.stack),
      ...(spare === undefined ? {} : { spare }),
      log: (message, details) => log.warn(details, message),
      onReady: (sidecar) => views.add(sidecar),
      onEnd: (sidecar) => this.#forget(sidecar),
    });
  }

  #of(stack: string): TaskSidecar[] {
    return [...this.#sidecars.values()].filter((sidecar) => sidecar.stack === stack);
  }

  async #end(sidecar: TaskSidecar): Promise<void> {
    this.#forget(sidecar);
    await sidecar.detach();
  }

  #forget(sidecar: TaskSidecar): void {
    this.#options.views.remove(sidecar);
    const { containerId } = sidecar.task;
    if (this.#sidecars.get(containerId) === sidecar) this.#sidecars.delete(containerId);
  }

  async #sweep(): Promise<void> {
    for (const sidecar of this.#sidecars.values())
      if (!sidecar.taskAlive) await this.#end(sidecar).catch(() => undefined);
  }

  async #attachMissing(): Promise<void> {
    const { containers, registrations, log } = this.#options;
    for (const { Id: id, Labels: labels } of await containers.engine.listContainers()) {
      const service = labels['com.docker.swarm.service.name'];
      if (service === undefined || this.#sidecars.has(id) || !registrations.declares(service, labels)) continue;
      log.warn({ container: id, service }, 'a task runs without its sidecar: it gets one for its new connections');
      await this.ensure(id).catch((error: unknown) =>
        log.error({ container: id, service, reason: messageOf(error) }, 'cannot attach a sidecar'),
      );
    }
  }
}

/** For the coordinator. A sidecar that does not answer is not alive. */
async function describe(sidecar: TaskSidecar): Promise<Sidecar> {
  const { task, starts } = sidecar;
  const status = await sidecar.status().catch((error: unknown) => {
    if (error instanceof SwarmcutError) return undefined;
    throw error;
  });
  const unknown = { state: 'ESTABLISHED', sndUna: 0, sndNxt: 0, writeSeq: 0, rcvNxt: 0 };
  const none = { sendQueueBytes: 0, recvQueueBytes: 0, sequencesKnown: false };
  return {
    task,
    alive: status !== undefined,
    streams: status?.streams ?? 0,
    direct: (status?.direct ?? []).map((ends) => ({ ...ends, ...unknown, ...none })),
    peers: status?.peers ?? [],
    rssBytes: status?.rssBytes ?? 0,
    starts,
  };
}
