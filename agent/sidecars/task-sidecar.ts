import type { ChildProcess } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { endpointSchema } from '../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { taskRefSchema } from '../../src/model/checkpoint.ts';
import { taskKey, type TaskRef } from '../../src/model/task.ts';
import { replaceFile } from '../../src/platform/files.ts';
import type { TaskHost } from '../../src/execution/real-time-executor.ts';
import type { ArgumentsOf, Caller, ResultOf } from '../../src/rpc/control/method.ts';
import type { SidecarMethods } from '../../src/rpc/control/methods.ts';
import type { SidecarRestore } from '../../src/rpc/control/start-config.ts';
import { ProxyInterceptor } from './interceptor.ts';

/** `<run>/sidecars/<container>/config.json`: all that another agent needs to take the sidecar over or start it again. The key is not in it. */
const configSchema = z.object({
  task: taskRefSchema,
  stack: z.string(),
  pid: z.number().int().positive(),
  epoch: z.number().int().nonnegative(),
  subnets: z.array(z.string()),
  own: z.array(z.object({ address: z.string(), network: z.string() })),
  previousAddresses: z.array(z.string()).default([]),
  starts: z.number().int().nonnegative(),
});
export type SidecarConfig = z.infer<typeof configSchema>;

const statusSchema = z.object({
  pid: z.number(),
  epoch: z.number(),
  streams: z.number(),
  rssBytes: z.number(),
  peers: z.array(z.string()).default([]),
  direct: z.array(z.object({ local: endpointSchema, remote: endpointSchema })).default([]),
});
/** What an agent wants to know of what a sidecar, maybe of an earlier version, says about itself. */
export type SidecarStatus = z.infer<typeof statusSchema>;

/** What a sidecar writes, in its folder. */
export const LOG_FILE = 'sidecar.log';

/** sun_path of a Unix socket, without the final zero. */
const SOCKET_PATH_BYTES = 107;

export interface TaskSidecarOptions {
  /** `<run>/sidecars/<container>`. */
  readonly dir: string;
  readonly config: SidecarConfig;
  readonly key: Buffer;
  /** A process that was started ahead of time (`spawnSidecar`). */
  readonly spare?: ChildProcess;
  readonly log: (message: string, details: object) => void;
  /** A sidecar is there, the first or another one: it wants to be told of its networks. */
  readonly onReady: (sidecar: TaskSidecar) => void;
  /** The task has ended, and the sidecar with it. */
  readonly onEnd: (sidecar: TaskSidecar) => void;
}

/** The sidecar of one task of this node, as the agent sees it. */
export class TaskSidecar implements Caller<SidecarMethods> {
  readonly #options: TaskSidecarOptions;
  readonly #interceptor: ProxyInterceptor;
  readonly #lost = new Set<(reason: string) => void>();
  /** The last write of its file; its folder is not removed under it. */
  #writing = Promise.resolve();

  constructor(options: TaskSidecarOptions) {
    const { dir, config, key, spare } = options;
    const socket = join(dir, 'control.sock');
    if (Buffer.byteLength(socket) > SOCKET_PATH_BYTES)
      throw new SwarmcutError('usage', `${socket} is too long for a socket`, { advice: 'use a shorter --run-dir' });
    this.#options = options;
    this.#interceptor = new ProxyInterceptor({
      netns: `/proc/${config.pid}/ns/net`,
      pid: config.pid,
      container: config.task.containerId,
      task: taskKey(config.task),
      stack: config.stack,
      key,
      epoch: config.epoch,
      socket,
      logFile: join(dir, LOG_FILE),
      subnets: config.subnets,
      own: config.own,
      previousAddresses: config.previousAddresses,
      starts: config.starts,
      ...(spare === undefined ? {} : { spare }),
      onReady: () => {
        this.#writing = this.#write().catch(() => undefined); // only the count of starts would be wrong
        options.onReady(this);
      },
      onCrash: (reason) => {
        options.log('a sidecar has died; another one is started', { task: taskKey(config.task), reason });
        for (const lost of this.#lost) lost(reason);
      },
      onTaskEnd: () => {
        for (const lost of this.#lost) lost('the task has ended');
        void this.#remove().finally(() => options.onEnd(this));
      },
    });
  }

  get task(): TaskRef {
    return this.#options.config.task;
  }

  get stack(): string {
    return this.#options.config.stack;
  }

  get starts(): number {
    return this.#interceptor.starts;
  }

  /** False while a sidecar that has died is being replaced. */
  get alive(): boolean {
    return this.#interceptor.connected;
  }

  /** Names of the networks on which it carries connections. */
  get networks(): string[] {
    return [...new Set(this.#options.config.own.map(({ network }) => network))];
  }

  /** Who answers what the sidecar asks for in a round. */
  set host(host: TaskHost | undefined) {
    this.#interceptor.host = host;
  }

  /** Starts it. Anything left is taken away if that fails. @param restore for a task that was restored from a checkpoint */
  async attach(restore?: SidecarRestore): Promise<void> {
    await mkdir(this.#options.dir, { recursive: true, mode: 0o700 });
    await this.#write();
    try {
      await this.#interceptor.attach(restore);
    } catch (error) {
      await this.detach().catch(() => undefined);
      throw error;
    }
  }

  /** Takes over the one that an earlier agent has started. @throws SwarmcutError `unreachable` if it does not live */
  async adopt(): Promise<void> {
    await this.#interceptor.adopt();
  }

  /** Ends it and takes its rules away: what it carries is reset. Its folder goes also if that fails. */
  async detach(): Promise<void> {
    try {
      await this.#interceptor.detach();
    } finally {
      await this.#remove();
    }
  }

  /** The agent ends, the sidecar does not. */
  leave(): void {
    this.#interceptor.leave();
  }

  /** True while the task lives. */
  get taskAlive(): boolean {
    return this.#interceptor.taskAlive;
  }

  call<K extends keyof SidecarMethods>(
    method: K,
    ...params: ArgumentsOf<SidecarMethods[K]>
  ): Promise<ResultOf<SidecarMethods[K]>> {
    return this.#interceptor.call(method, ...params);
  }

  async status(): Promise<SidecarStatus> {
    return statusSchema.parse(await this.call('status'));
  }

  /** Calls back when the sidecar has died. @returns what ends that */
  onLost(lost: (reason: string) => void): () => void {
    this.#lost.add(lost);
    return () => this.#lost.delete(lost);
  }

  async #write(): Promise<void> {
    const file = join(this.#options.dir, 'config.json');
    const text = JSON.stringify({ ...this.#options.config, starts: this.starts });
    await replaceFile(file, text);
  }

  async #remove(): Promise<void> {
    await this.#writing;
    await rm(this.#options.dir, { recursive: true, force: true });
  }
}

/** @throws ZodError or the system's error when there is no such file */
export async function readSidecarConfig(dir: string): Promise<SidecarConfig> {
  return configSchema.parse(JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')));
}
