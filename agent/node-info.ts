import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { messageOf } from '../src/model/errors.ts';
import { kindOfCriuLine, OBSTACLES } from '../src/model/obstacles.ts';
import type { Directories } from '../src/model/paths.ts';
import type { InfoReply } from '../src/rpc/generated/swarmcut/InfoReply.ts';
import { CAPABILITIES, hasCapability } from '../src/platform/capabilities.ts';
import type { Logger } from '../src/platform/logger.ts';
import { swarmcutVersion } from '../src/platform/version.ts';
import { judgePeers, preflight, type Preflight } from './preflight/index.ts';
import { unreachedListeners, type PartSource } from './transfer/index.ts';

/** Looking at a node takes half a second of CPU; rounds and restores that only want versions take what was found this long ago. */
const FRESH_MS = 60_000;

export interface NodeInfoOptions {
  readonly directories: Directories;
  readonly node: string;
  readonly dockerSocket: string;
  readonly log: Logger;
}

/** What this node is and has. */
export class NodeInfo {
  readonly #options: NodeInfoOptions;
  readonly #preflight: typeof preflight;
  #looked: { readonly atMs: number; readonly found: Promise<Preflight> } | undefined;

  /** @param look at the node: another one for tests */
  constructor(options: NodeInfoOptions, look = preflight) {
    this.#options = options;
    this.#preflight = look;
  }

  /** The engine's data directory. Waits for an engine that is still starting, for as long as it takes. */
  async dataRoot(): Promise<string> {
    const engine = new Docker({ socketPath: this.#options.dockerSocket });
    for (let told = false; ; told = true) {
      try {
        const info = (await engine.info()) as { DockerRootDir?: string };
        return info.DockerRootDir ?? '/var/lib/docker';
      } catch (error) {
        if (!told) this.#options.log.warn({ reason: messageOf(error) }, 'waiting for the engine');
        await delay(500);
      }
    }
  }

  /**
   * @param withChecks look now, and judge; else what was found lately will do
   * @param peers other nodes, of which it is judged whether they are reached where they send parts
   */
  async info(withChecks: boolean, peers: readonly PartSource[] = []): Promise<InfoReply> {
    const [{ facts, checks }, unreached] = await Promise.all([
      this.#look(withChecks ? 0 : FRESH_MS),
      withChecks ? unreachedListeners(peers) : [],
    ]);
    const ofPeers = peers.length > 0 ? [judgePeers(peers, unreached)] : [];
    return {
      node: this.#options.node,
      version: swarmcutVersion(),
      kernel: facts.kernel,
      criu: facts.criu,
      runc: facts.runc,
      engine: facts.engine,
      cgroupVersion: facts.cgroupVersion,
      shimInstalled: facts.shimInstalled,
      memoryAvailableBytes: facts.memoryAvailableBytes,
      diskAvailableBytes: facts.diskAvailableBytes,
      memDirtyTrack: facts.memDirtyTrack,
      checks: withChecks ? [...checks, ...ofPeers] : [],
      agentRssBytes: process.memoryUsage.rss(),
    };
  }

  /** Whether CRIU can dump processes of other users than root, as far as was found lately. Where the trial failed for another reason, it may. */
  async dumpsOtherUsers(): Promise<boolean> {
    if (hasCapability(CAPABILITIES.sysResource)) return true;
    const { facts } = await this.#look(FRESH_MS);
    return kindOfCriuLine(facts.otherUsers) !== OBSTACLES['other-user'];
  }

  #look(maxAgeMs: number): Promise<Preflight> {
    const now = performance.now();
    if (this.#looked === undefined || now - this.#looked.atMs > maxAgeMs) {
      const { directories, dockerSocket } = this.#options;
      const looked = { atMs: now, found: this.#preflight({ directories, dockerSocket }) };
      this.#looked = looked;
      // An engine that starts says more soon, and so does one that is being installed on: until then each look is a new one.
      const forget = (): void => {
        if (this.#looked === looked) this.#looked = undefined;
      };
      looked.found.then(({ facts }) => facts.shimInstalled || forget(), forget);
    }
    return this.#looked.found;
  }
}
