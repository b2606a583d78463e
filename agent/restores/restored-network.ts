import { mkdir } from 'node:fs/promises';
import { connectionKey, type Connection, type RewriteEntry } from '../../src/model/connection.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import type { BoundSocket, UnsentMark } from '../../src/model/plans/network-plan.ts';
import type { NetworkPlan__Output } from '../../src/rpc/generated/swarmcut/NetworkPlan.ts';
import { listConnections, resetConnections } from '../network/rewriting/connections.ts';
import { namesCome } from '../network/coming-names.ts';
import { KernelInterceptor } from '../network/interceptor.ts';
import { leaveOutTrackedFlows } from '../network/tracked-flows.ts';
import { markUnsent } from '../network/rewriting/mark-unsent.ts';
import { restoreHook } from '../network/rewriting/restore-hook.ts';
import { prepareSurroundings } from '../surroundings/restore.ts';
import { addPrestartHook } from './bundle.ts';
import type { FormerAddresses } from '../network/former-addresses.ts';
import type { NetworkMemory } from '../network/network-memory.ts';

/** States of connections that the kernel lists and that CRIU restores with their peers. */
const LISTED: ReadonlySet<string> = new Set([
  'ESTABLISHED',
  'CLOSE_WAIT',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'LAST_ACK',
  'CLOSING',
]);

function isLoopback({ local }: Connection): boolean {
  return local.address.startsWith('127.') || local.address === '::1';
}

/** The network side of a restored container: block and old addresses before its sockets exist, the way free when all are restored. */
export class RestoredNetwork {
  readonly #memory: NetworkMemory;
  readonly #former: FormerAddresses;

  constructor(memory: NetworkMemory, former: FormerAddresses) {
    this.#memory = memory;
    this.#former = former;
  }

  /** Sees to it that the container wakes up blocked, with the addresses that its sockets know, and in the surroundings that it had. */
  async prepare(options: {
    readonly bundle: string;
    readonly dir: string;
    /** As in `prepareSurroundings`. */
    readonly startDir: string;
    readonly imageDir: string;
    readonly plan: NetworkPlan__Output;
    /** Connections that its sidecar carries (proxied-connections.ts). */
    readonly proxied: { readonly connections: readonly Connection[]; readonly unsent: readonly UnsentMark[] };
    /** It gets a sidecar. */
    readonly hasSidecar: boolean;
    readonly blockTimeoutMs: number;
  }): Promise<void> {
    const { bundle, dir, startDir, imageDir, plan, proxied, hasSidecar, blockTimeoutMs } = options;
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await leaveOutTrackedFlows(imageDir);
    await markUnsent(imageDir, [...plan.unsent, ...proxied.unsent]);
    const { close, ...rest } = checked(plan);
    // Their remote addresses need a route, too, when the sockets are made; the sidecar's rules are not there yet.
    const hookPlan = { ...rest, close: [...close, ...proxied.connections] };
    const surroundings = await prepareSurroundings({ bundle, imageDir }, startDir);
    await addPrestartHook(
      bundle,
      await restoreHook({ plan: hookPlan, proxied: hasSidecar, blockTimeoutMs, dir, ...surroundings }),
    );
  }

  /**
   * Checks that every connection of the checkpoint is there again.
   * @param pid of the container's first process
   * @throws SwarmcutError `failed`, naming one that is missing
   */
  async check(pid: number, expected: readonly Connection[]): Promise<void> {
    const present = new Set((await listConnections(pid)).map(connectionKey));
    // Those that were being made or had ended are not listed as connections.
    const lost = expected.filter(
      (one) => LISTED.has(one.state) && !isLoopback(one) && !present.has(connectionKey(one)),
    );
    const [first] = lost;
    if (first === undefined) return;
    throw new SwarmcutError(
      'failed',
      `${lost.length} of ${expected.length} connections were not restored, one of them ${connectionKey(first)}`,
    );
  }

  /**
   * Opens the block, and resets what leads out of the snapshot.
   * @param pid of the container's first process
   */
  async release(containerId: string, pid: number, plan: NetworkPlan__Output): Promise<void> {
    const { close, aliases, rewrites, former } = checked(plan);
    await this.#memory.remember(containerId, { aliases, rewrites, former });
    const netns = `/proc/${pid}/ns/net`;
    await this.#former.lead(containerId, netns, former, false);
    await new KernelInterceptor({ netns }).openRestored(pid);
    // Resets go out with the block open, or the other side would never hear of them.
    if (close.length > 0) await resetConnections(netns, close);
  }

  /** Takes the opened block's rules away, and a while later those for names that were still to come; nothing waits for this. */
  async tidy(pid: number): Promise<void> {
    const netns = `/proc/${pid}/ns/net`;
    await new KernelInterceptor({ netns }).detach();
    await namesCome(netns);
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
  former: NetworkPlan__Output['former'];
  bound: BoundSocket[];
} {
  return {
    ...plan,
    bound: plan.bound as BoundSocket[],
    rewrites: plan.rewrites as RewriteEntry[],
    close: plan.close as Connection[],
  };
}
