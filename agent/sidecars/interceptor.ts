import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { TaskHost } from '../../src/execution/real-time-executor.ts';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { inNetwork, runProcess } from '../../src/platform/processes.ts';
import { pause, poll } from '../../src/platform/deadlines.ts';
import { JsonPeer } from '../../src/rpc/control/json-peer.ts';
import {
  answering,
  type ArgumentsOf,
  type Caller,
  type Handlers,
  type ResultOf,
} from '../../src/rpc/control/method.ts';
import { TASK_METHODS, type SidecarMethods, type TaskMethods } from '../../src/rpc/control/methods.ts';
import type { SidecarRestore, StartConfig } from '../../src/rpc/control/start-config.ts';
import { firstWords, hasEnded, howItEnded, signalled, spawnSidecar } from './sidecar-process.ts';
import { attachScript, detachScript, routeLines, routeUndoLines } from '../network/proxy-rules.ts';
import { inNetns } from '../linux/sys.ts';

/** A sidecar that has died is started again after this long; connections begun meanwhile wait (TCP repeats its SYN after 1 s). */
const RESTART_DELAY_MS = 200;
/** If it cannot be started, it is tried again at this pace for as long as the task lives. */
const RETRY_DELAY_MS = 2_000;
/** What a killed process may take to be gone. */
const KILL_TIMEOUT_MS = 5_000;

export interface ProxyInterceptorOptions {
  /** The task's network namespace: `/proc/PID/ns/net` or `/run/netns/NAME`. */
  readonly netns: string;
  /** The task's first process: the sidecar ends with it. Without it (in tests): with the namespace's name. */
  readonly pid?: number;
  readonly container?: string;
  /** The task, for logs and reports. */
  readonly task: string;
  readonly stack?: string;
  /** The stack's key: 32 random bytes, the same for all its tasks. */
  readonly key: Buffer;
  /** The last epoch of the stack. */
  readonly epoch: number;
  /** Where the sidecar's Unix socket shall be. */
  readonly socket: string;
  readonly logFile?: string;
  /** The stack's networks that the task is on, in CIDR notation. */
  readonly subnets?: readonly string[];
  /** The task's addresses there. */
  readonly own?: readonly { readonly address: string; readonly network: string }[];
  /** Previous addresses of the task, which restored applications may still use. */
  readonly previousAddresses?: readonly string[];
  /** How often one was started for this task before. */
  readonly starts?: number;
  /** A process for the first sidecar ({@link spawnSidecar}), made ahead of time. */
  readonly spare?: ChildProcess;
  /** Another place of the compiled main.js, for tests. */
  readonly main?: string;
  /** A sidecar is there, the first one or another one. It knows nothing yet but its configuration. */
  readonly onReady?: () => void;
  /** The sidecar has died; all its connections have been reset. A round that was open at it is lost. A new one is being started. */
  readonly onCrash?: (reason: string) => void;
  /** The sidecar has ended, and so has the task. */
  readonly onTaskEnd?: () => void;
}

/**
 * The proxy interceptor of one task: rules in the task's namespace and the sidecar process, on the node's side, which is a session of its
 * own and outlives this one. Attached before the task's first instruction no connection escapes it.
 *
 * One connection to the sidecar's socket is kept: it carries what is asked of the sidecar and what the sidecar asks in a round, and its end
 * is how the sidecar's death is seen, whoever has started it. Methods throw SwarmcutError: the sidecar's own, or with the words of nft or ip.
 */
export class ProxyInterceptor implements Caller<SidecarMethods> {
  readonly #options: ProxyInterceptorOptions;
  /** What `netns` was when it was attached: the pid of a task that has ended may have been given to another process. */
  readonly #namespace: string | undefined;
  #spare: ChildProcess | undefined;
  #child: ChildProcess | undefined;
  #pid: number | undefined;
  #control: JsonPeer<SidecarMethods> | undefined;
  #watching = false;
  #starts: number;

  /** What the sidecar asks for in a round. Without it a round that wants something fails. */
  host: TaskHost | undefined;

  constructor(options: ProxyInterceptorOptions) {
    this.#options = options;
    this.#namespace = this.#identity();
    this.#spare = options.spare;
    this.#starts = options.starts ?? 0;
  }

  /** Sets the rules, which do nothing by themselves, and starts the sidecar. */
  async attach(restore?: SidecarRestore): Promise<void> {
    const { netns, main, logFile } = this.#options;
    // It loads its modules meanwhile.
    this.#spare ??= spawnSidecar(logFile, main);
    inNetns(netns, () => {
      // A refused SYN's reset carries the mark of the SYN, and so passes the rules; see rules.ts.
      writeFileSync('/proc/sys/net/ipv4/fwmark_reflect', '1');
      // Loose: packets from a peer's address come in over lo. (The stricter one of `all` and `lo` counts, and 2 is loose.)
      writeFileSync('/proc/sys/net/ipv4/conf/lo/rp_filter', '2');
    });
    const routes = this.#ip(routeUndoLines(), true).then(() => this.#ip(routeLines()));
    await Promise.all([routes, this.#nft(attachScript())]);
    await this.#start(restore);
    this.#watching = true;
  }

  /** Takes over a sidecar that another process has attached. @throws SwarmcutError `unreachable` when there is none */
  async adopt(): Promise<void> {
    await this.#connect();
    this.#starts = Math.max(1, this.#starts);
    this.#watching = true;
    this.#options.onReady?.();
  }

  /** Ends the sidecar, which resets its connections, and takes the rules away. No error if the namespace is gone. */
  async detach(): Promise<void> {
    this.#watching = false;
    await this.#stop();
    const gone = (): boolean => !this.taskAlive;
    if (gone()) return;
    try {
      await this.#nft(detachScript());
    } catch (error) {
      if (gone()) return; // meanwhile, and its rules with it
      throw error;
    }
    await this.#ip(routeUndoLines(), true);
  }

  /** Lets go of the sidecar without ending it. */
  leave(): void {
    this.#watching = false;
    this.#control?.close();
    this.#control = undefined;
  }

  /** The sidecar's process, for figures. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /** How often a sidecar was started for this task: 1 if it has never died. */
  get starts(): number {
    return this.#starts;
  }

  /** True while there is a sidecar to talk to. */
  get connected(): boolean {
    return this.#control !== undefined;
  }

  /** True while the task has its namespace. */
  get taskAlive(): boolean {
    return this.#namespace !== undefined && this.#identity() === this.#namespace;
  }

  /** @throws SwarmcutError `unreachable` when the sidecar is gone, or the sidecar's own */
  call<K extends keyof SidecarMethods>(
    method: K,
    ...params: ArgumentsOf<SidecarMethods[K]>
  ): Promise<ResultOf<SidecarMethods[K]>> {
    if (this.#control === undefined) return Promise.reject(this.#unreachable('it has died'));
    return this.#control.call(method, ...params);
  }

  /** A further connection to the sidecar. @param handlers do the work of the rounds that are prepared over it */
  async control(handlers?: Handlers<TaskMethods>, onEnd?: () => void): Promise<JsonPeer<SidecarMethods>> {
    const socket: Socket = connect(this.#options.socket);
    try {
      await once(socket, 'connect');
    } catch (error) {
      throw this.#unreachable(messageOf(error), error);
    }
    return new JsonPeer<SidecarMethods>(socket, handlers ? answering(TASK_METHODS, handlers) : {}, onEnd);
  }

  async #start(restore?: SidecarRestore): Promise<void> {
    const { main, task, logFile } = this.#options;
    const child = this.#spare ?? spawnSidecar(logFile, main);
    this.#spare = undefined;
    this.#child = child;
    this.#starts += 1;
    child.stdin?.end(JSON.stringify(this.#startConfig(restore)));
    const first = await firstWords(child);
    if (!first.startsWith('ready')) {
      child.kill('SIGKILL');
      throw new SwarmcutError('failed', `the sidecar of ${task} did not start: ${first}`, {
        ...(logFile === undefined ? {} : { where: { file: logFile } }),
      });
    }
    child.stdout?.destroy();
    child.unref();
    this.#pid = child.pid;
    await this.#connect();
    this.#options.onReady?.();
  }

  async #connect(): Promise<void> {
    const mine: JsonPeer<SidecarMethods> = await this.control(this.#handlers(), () => {
      if (this.#control !== mine) return;
      this.#control = undefined;
      void this.#lost();
    });
    this.#control = mine;
    if (this.#pid === undefined) this.#pid = (await mine.call('status')).pid;
  }

  /** Container and stack are for those who look at processes and logs. */
  #startConfig(restore?: SidecarRestore): StartConfig & { container: string | undefined; stack: string | undefined } {
    const { netns, pid, container, task, stack, key, epoch, socket, logFile } = this.#options;
    const { subnets = [], own = [], previousAddresses = [] } = this.#options;
    return {
      ...{ netns, container, task, stack, key: key.toString('base64'), epoch, socket, subnets, own, previousAddresses },
      ...(pid !== undefined && { pid }),
      ...(logFile !== undefined && { logFile }),
      ...(restore !== undefined && { restore }),
    };
  }

  #handlers(): Handlers<TaskMethods> {
    const host = (): TaskHost => {
      if (this.host === undefined) throw new SwarmcutError('precondition', 'the agent knows of no round');
      return this.host;
    };
    return {
      block: () => host().block(),
      freeze: () => host().freeze(),
      save: ({ epoch }) => host().save(epoch),
      advance: ({ epoch }) => host().advance(epoch),
      unblock: () => host().unblock(),
      thaw: () => host().thaw(),
      discard: () => host().discard(),
      report: (outcome) => host().report(outcome),
    };
  }

  async #lost(): Promise<void> {
    if (!this.#watching) return;
    // It may only have shut its ears: two of them must not meet.
    await this.#kill('SIGKILL');
    if (!this.taskAlive) {
      this.#watching = false;
      this.#options.onTaskEnd?.();
      return;
    }
    this.#options.onCrash?.(howItEnded(this.#child));
    await this.#restart();
  }

  async #restart(): Promise<void> {
    await pause(RESTART_DELAY_MS);
    while (this.#wanted()) {
      try {
        await this.#start();
        return;
      } catch (error) {
        this.#options.onCrash?.(messageOf(error));
        await pause(RETRY_DELAY_MS);
      }
    }
    if (!this.taskAlive) this.#options.onTaskEnd?.();
  }

  /** Nobody has detached it, and the task lives. */
  #wanted(): boolean {
    return this.#watching && this.taskAlive;
  }

  async #stop(): Promise<void> {
    this.#spare?.kill('SIGKILL');
    this.#spare = undefined;
    const control = this.#control;
    this.#control = undefined;
    await this.#kill('SIGTERM');
    control?.close();
  }

  /** The process is gone when this resolves. */
  async #kill(signal: NodeJS.Signals): Promise<void> {
    const pid = this.#pid;
    this.#pid = undefined;
    if (pid === undefined) return;
    for (const each of [signal, 'SIGKILL'] as const) {
      if (!signalled(pid, each)) return;
      const gone = (): true | undefined => (!signalled(pid, 0) || hasEnded(this.#child) ? true : undefined);
      if (await poll(gone, { timeoutMs: KILL_TIMEOUT_MS, intervalMs: 5 })) return;
    }
  }

  #identity(): string | undefined {
    const { netns } = this.#options;
    try {
      return readlinkSync(netns);
    } catch {
      // A named namespace is a file, not a link.
      return this.#options.pid === undefined && existsSync(netns) ? netns : undefined;
    }
  }

  #unreachable(reason: string, cause?: unknown): SwarmcutError {
    return new SwarmcutError('unreachable', `the sidecar of ${this.#options.task} does not answer: ${reason}`, {
      cause,
    });
  }

  async #nft(script: string): Promise<void> {
    await runProcess(this.#command(['nft', '-f', '-']), script);
  }

  async #ip(lines: readonly string[], force = false): Promise<void> {
    const command = ['ip', '-4', ...(force ? ['-force'] : []), '-batch', '-'];
    const done = runProcess(this.#command(command), `${lines.join('\n')}\n`);
    // With -force some may have nothing to do.
    await (force ? done.catch(() => undefined) : done);
  }

  #command(command: readonly string[]): string[] {
    return inNetwork(this.#options.netns, command);
  }
}
