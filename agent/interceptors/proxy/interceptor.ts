import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { runProcess } from '../kernel/runner.ts';
import { JsonPeer } from './json-peer.ts';
import type { Handler } from './json-peer.ts';
import {
  attachScript,
  detachScript,
  lockScript,
  routeLines,
  routeUndoLines,
  setsScript,
  unlockScript,
} from './rules.ts';
import type { ProxySets } from './rules.ts';
import { inNetns } from './sys.ts';

/** A sidecar that has crashed is started again after this long; connections begun meanwhile wait (TCP repeats its SYN after 1 s). */
const RESTART_DELAY_MS = 200;
const START_TIMEOUT_MS = 10_000;

/** The compiled sidecar. */
const MAIN = fileURLToPath(new URL('main.js', import.meta.url));

export interface ProxyInterceptorOptions {
  /** The task's network namespace: `/proc/PID/ns/net` or `/run/netns/NAME`. */
  readonly netns: string;
  readonly task: string;
  /** The stack's key: 32 random bytes, the same for all its tasks. */
  readonly key: Buffer;
  /** The last epoch of the stack. */
  readonly epoch: number;
  /** Where the sidecar's Unix socket shall be. */
  readonly socket: string;
  readonly logFile?: string;
  /** Another place of the compiled main.js, for tests. */
  readonly main?: string;
  /** The sidecar has died; all its connections have been reset. A round that was open at it is lost. A new one is being started. */
  readonly onCrash?: (reason: string) => void;
}

/**
 * The proxy interceptor of one task: rules in the task's namespace and the sidecar process, on the node's side. Attached before the task's
 * first instruction no connection escapes it; attached later, older connections pass it by (give them as `direct`).
 * Methods throw SwarmcutError with the words of nft, ip or the sidecar.
 */
export class ProxyInterceptor {
  readonly #options: ProxyInterceptorOptions;
  #child: ChildProcess | undefined;
  #attached = false;

  constructor(options: ProxyInterceptorOptions) {
    this.#options = options;
  }

  /** Starts the sidecar, then sets the rules (without peers: nothing is intercepted before {@link setSets}). */
  async attach(): Promise<void> {
    const { netns } = this.#options;
    await this.#start();
    this.#attached = true;
    inNetns(netns, () => {
      // A refused SYN's reset carries the mark of the SYN, and so passes the rules; see rules.ts.
      writeFileSync('/proc/sys/net/ipv4/fwmark_reflect', '1');
      // Loose: packets from a peer's address come in over lo. (The stricter one of `all` and `lo` counts, and 2 is loose.)
      writeFileSync('/proc/sys/net/ipv4/conf/lo/rp_filter', '2');
    });
    await this.#ip(routeUndoLines(), true);
    await this.#ip(routeLines());
    await this.#nft(attachScript());
  }

  /** Whom, what and what not to intercept. In one transaction. */
  async setSets(sets: ProxySets): Promise<void> {
    await this.#nft(setsScript(sets));
  }

  /** No packet passes between application and sidecar, for at most `timeoutMs`. Part of `hold`. */
  async lock(timeoutMs: number): Promise<void> {
    await this.#nft(lockScript(timeoutMs));
  }

  async unlock(): Promise<void> {
    if (existsSync(this.#options.netns)) await this.#nft(unlockScript());
  }

  /** Ends the sidecar, which resets its connections, and takes the rules away. No error if the namespace is gone. */
  async detach(): Promise<void> {
    this.#attached = false;
    await this.#stop();
    if (!existsSync(this.#options.netns)) return;
    await this.#nft(detachScript());
    await this.#ip(routeUndoLines(), true);
  }

  /** The sidecar's process, for figures. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** A connection to the sidecar. `handlers`: what it asks of the agent during a round (round.ts, RoundHost). */
  async control(handlers: Readonly<Record<string, Handler>> = {}): Promise<JsonPeer> {
    const socket: Socket = connect(this.#options.socket);
    try {
      await once(socket, 'connect');
    } catch (error) {
      throw new SwarmcutError('unreachable', `the sidecar of ${this.#options.task}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    return new JsonPeer(socket, handlers);
  }

  async #start(): Promise<void> {
    const { netns, task, key, epoch, socket, logFile, main } = this.#options;
    const child = spawn(process.execPath, [main ?? MAIN], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    this.#child = child;
    child.on('exit', (code, signal) => this.#exited(child, signal ?? `exit code ${code ?? '?'}`));
    child.stdin.end(JSON.stringify({ netns, task, key: key.toString('base64'), epoch, socket, logFile }));
    const [first] = (await Promise.race([
      once(child.stdout, 'data', { signal: AbortSignal.timeout(START_TIMEOUT_MS) }),
      once(child, 'exit').then(([code]) => [`exit code ${String(code)}`]),
    ])) as [unknown];
    if (!String(first).startsWith('ready'))
      throw new SwarmcutError('failed', `the sidecar of ${task} did not start: ${String(first)}`);
    child.stdout.resume();
  }

  #exited(child: ChildProcess, reason: string): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    if (!this.#attached) return;
    this.#options.onCrash?.(reason);
    setTimeout(() => {
      if (!this.#attached || this.#child) return;
      this.#start().catch((error: unknown) => this.#options.onCrash?.(messageOf(error)));
    }, RESTART_DELAY_MS);
  }

  async #stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
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
    return ['nsenter', `--net=${this.#options.netns}`, ...command];
  }
}
