import { mkdir } from 'node:fs/promises';
import type { Connection, RewriteEntry } from '../../src/model/connection.ts';
import type { NetworkPlan__Output } from '../../src/rpc/generated/swarmcut/NetworkPlan.ts';
import { openFiles, processTree } from '../criu/process-tree.ts';
import { resetConnections } from '../interceptors/kernel/connections.ts';
import { KernelInterceptor } from '../interceptors/kernel/interceptor.ts';
import { markUnsent } from '../interceptors/kernel/mark-unsent.ts';
import { pushUnsent } from '../interceptors/kernel/push-unsent.ts';
import { restoreHook } from '../interceptors/kernel/restore-hook.ts';
import { addPrestartHook } from './bundle.ts';
import type { NetworkMemory } from './network-memory.ts';

/** The network side of a restored container: block and old addresses before its sockets exist, the way free when all are restored. */
export class RestoredNetwork {
  readonly #memory: NetworkMemory;

  constructor(memory: NetworkMemory) {
    this.#memory = memory;
  }

  /** Sees to it that the container wakes up blocked, with the addresses that its sockets know. */
  async prepare(
    bundle: string,
    dir: string,
    imageDir: string,
    plan: NetworkPlan__Output,
    holdTimeoutMs: number,
  ): Promise<void> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await markUnsent(imageDir, plan.unsent);
    await addPrestartHook(bundle, await restoreHook({ plan: checked(plan), holdTimeoutMs, dir }));
  }

  /**
   * Opens the block, and resets what leads out of the snapshot.
   * @param pid of the container's first process
   */
  async release(containerId: string, pid: number, plan: NetworkPlan__Output): Promise<void> {
    const { close, aliases, rewrites } = checked(plan);
    await this.#memory.remember(containerId, { aliases, rewrites });
    const netns = `/proc/${pid}/ns/net`;
    // Resets go out with the block open, or the other side would never hear of them.
    await new KernelInterceptor({ netns }).unhold();
    if (close.length > 0) await resetConnections(netns, close);
    // What was sent into the block counts as unsent, and would wait for a timer.
    pushUnsent(await openFiles(await processTree(pid)));
  }

  /** Takes the opened block's rules away; nothing waits for this. */
  async tidy(pid: number): Promise<void> {
    await new KernelInterceptor({ netns: `/proc/${pid}/ns/net` }).detach();
  }
}

/** The generated types allow absent messages where proto3 does; the coordinator never leaves them out. */
function checked(plan: NetworkPlan__Output): {
  subnets: string[];
  ownAddresses: string[];
  rewrites: RewriteEntry[];
  close: Connection[];
  unsent: NetworkPlan__Output['unsent'];
  aliases: NetworkPlan__Output['aliases'];
} {
  return { ...plan, rewrites: plan.rewrites as RewriteEntry[], close: plan.close as Connection[] };
}
