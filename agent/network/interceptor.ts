import { familyOf } from '../linux/addresses.ts';
import { existsSync } from 'node:fs';
import type { Epoch } from '../../src/algorithms/contract.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import type { RewriteEntry } from '../../src/model/connection.ts';
import { pause } from '../../src/platform/deadlines.ts';
import type { FormerAddress } from '../../src/model/plans/former-addresses.ts';
import type { PrepareOptions, TaskInterceptor } from './task-interceptor.ts';
import { openFiles, processTree } from '../linux/process-tree.ts';
import { block, openInwards, unblock } from './block.ts';
import { pushUnsent } from './rewriting/push-unsent.ts';
import { inNetwork, runProcess } from '../../src/platform/processes.ts';
import {
  COMING,
  TABLE,
  advanceScript,
  declareBlockScript,
  detachScript,
  blockScript,
  prepareScript,
  removeScript,
} from './rules.ts';
import { formerScript } from './rewriting/former-rules.ts';
import { PROXY_TABLE } from '../linux/proxy-table.ts';
import { removeRewritesScript, rewriteScript } from './rewriting/rewrite-rules.ts';
import { lowerRtoMin, restoreRtoMin } from './routes.ts';
import { rewriteSysctlScript } from './rewriting/addresses.ts';

/** Between the first and the last of a restore's containers to be released: one call each, all sent at once. */
const OPEN_SKEW_MS = 100;

export interface KernelInterceptorOptions {
  /** The task's network namespace: `/proc/PID/ns/net` or `/run/netns/NAME`. */
  readonly netns: string;
}

/**
 * What stands between one task and the network: nftables rules in the task's own network namespace (table `inet swarmcut`), and route
 * and kernel settings there. Without effect and without cost while no round runs.
 *
 * Every method can be called again with no further effect, and changes rules in one transaction. Calls on the same namespace must not
 * overlap.
 * All throw SwarmcutError `failed` with nft's or ip's own words.
 */
export class KernelInterceptor implements TaskInterceptor {
  readonly netns: string;
  /** `prepare` may have changed them. */
  #routesChanged = false;

  constructor(options: KernelInterceptorOptions) {
    this.netns = options.netns;
  }

  /**
   * Gets the task ready for a cut: packets sent after their sender's cut number `epoch` are dropped, and TCP's retransmission
   * time-out towards the subnets is shortened. Call it a few round trips before the cut: a connection takes the new time-out with its
   * next acknowledgment.
   */
  async prepare(options: PrepareOptions): Promise<void> {
    this.#routesChanged = true;
    await this.#nft(prepareScript(options));
    await this.#changeRoutes(options.subnets, (shown) => lowerRtoMin(shown, options.subnets));
  }

  /** Declares what `block` needs, and no colours: for a task whose connections a sidecar carries. */
  async declareBlock(): Promise<void> {
    await this.#nft(declareBlockScript());
  }

  /** Nothing enters or leaves the task for at most `timeoutMs`, TCP over `lo` included; other traffic over `lo` goes on. */
  async block(timeoutMs: number): Promise<void> {
    if (!(await block(this.netns, timeoutMs))) await this.#nft(blockScript(timeoutMs));
  }

  /** Gives the block a new time-out from now, also if it has expired. @throws if there has been neither `prepare` nor `block`. */
  async renewBlock(timeoutMs: number): Promise<void> {
    if (!(await block(this.netns, timeoutMs))) throw this.#noBlock();
  }

  /** The cut number `epoch` is made: new colour on everything sent, everything taken, block open; in one transaction. */
  async advance(epoch: Epoch): Promise<void> {
    await this.#nft(advanceScript(epoch));
  }

  /** Opens the block without a new colour. No error if the namespace is gone. */
  async unblock(): Promise<void> {
    await unblock(this.netns);
  }

  /**
   * Opens the block of a restored container so that its connections go on at once. To be called on all of them at about the same time.
   *
   * A restored socket knows no round trip time, and waits 3 s (TCP_TIMEOUT_FALLBACK) before it sends anything again. So nothing may
   * get lost when the blocks open one after the other: a container first lets in, and sends when the others have opened too; and
   * what was left unsent is pushed instead of waiting for a timer.
   *
   * @param pid of the container's first process
   * @param skewMs how far apart the calls for the containers may be
   */
  async openRestored(pid: number, skewMs = OPEN_SKEW_MS): Promise<void> {
    if (!(await openInwards(this.netns, skewMs))) throw this.#noBlock();
    await pause(skewMs);
    await this.unblock();
    pushUnsent(await openFiles(await processTree(pid)));
  }

  /** The round is over: block, colours and route settings go; rewriting stays. No error if the namespace is gone. */
  async detach(): Promise<void> {
    if (this.#gone()) return;
    await this.#nft(detachScript());
    const left = await this.#inside(['nft', 'list', 'table', ...TABLE.split(' ')]);
    if (!left.includes('chain rewrite_')) await this.#nft(removeScript());
    if (this.#routesChanged) await this.#putRoutesBack();
  }

  /**
   * For an agent that starts and finds a container whose round it no longer knows: like {@link detach}. What must be put back is read
   * from the namespace itself.
   */
  async recover(): Promise<void> {
    this.#routesChanged = true;
    await this.detach();
  }

  /**
   * Replaces all rewriting of connections by `entries`, in one transaction. Their local ports on the wire are kept from new
   * connections, which could otherwise get the four-tuple of an old one.
   */
  async setRewrites(entries: readonly RewriteEntry[]): Promise<void> {
    if (entries.length === 0) {
      await this.#nft(removeRewritesScript());
      return;
    }
    await this.#inside(['sh', '-s'], rewriteSysctlScript(entries));
    await this.#nft(rewriteScript(entries));
  }

  /** Where new connections to former addresses of the stack go; replaces what was led before. */
  async setFormer(former: readonly FormerAddress[]): Promise<void> {
    const tables = await this.#inside(['nft', 'list', 'tables']);
    await this.#nft(formerScript(former, tables.includes(PROXY_TABLE)));
  }

  /** Takes everything of ours away, rewriting included: restored connections hang from now on. No error if the namespace is gone. */
  async removeAll(): Promise<void> {
    if (this.#gone()) return;
    await this.#nft(removeScript());
    await this.#putRoutesBack();
  }

  /**
   * Commands that open the block without this process, each on its own and in any order, for a dead man's switch. A cut that was
   * under way is lost by them. Those that find nothing to do may fail.
   */
  undoCommands(): string[][] {
    return [
      ['nft', 'flush', 'set', ...TABLE.split(' '), 'blocked_out'],
      ['nft', 'flush', 'set', ...TABLE.split(' '), 'blocked_in'],
      ['nft', 'flush', 'set', ...TABLE.split(' '), COMING],
    ].map((command) => inNetwork(this.netns, command));
  }

  #noBlock(): SwarmcutError {
    return new SwarmcutError('failed', `there is no block in ${this.netns}`);
  }

  #gone(): boolean {
    return !existsSync(this.netns);
  }

  async #nft(script: string): Promise<void> {
    await this.#inside(['nft', '-f', '-'], script);
  }

  async #changeRoutes(subnets: readonly string[], change: (shown: string) => string[]): Promise<void> {
    for (const family of [4, 6] as const) {
      if (!subnets.some((subnet) => familyOf(subnet) === family)) continue;
      const lines = change(await this.#inside(['ip', `-${family}`, 'route', 'show']));
      if (lines.length > 0) await this.#inside(['ip', `-${family}`, '-batch', '-'], `${lines.join('\n')}\n`);
    }
  }

  async #putRoutesBack(): Promise<void> {
    await this.#changeRoutes(['0.0.0.0/0', '::/0'], restoreRtoMin);
    this.#routesChanged = false;
  }

  #inside(command: readonly string[], input?: string): Promise<string> {
    return runProcess(inNetwork(this.netns, command), input);
  }
}
