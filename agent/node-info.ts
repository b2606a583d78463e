import { readFile, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { execa } from 'execa';
import { messageOf } from '../src/model/errors.ts';
import type { Directories } from '../src/model/paths.ts';
import type { InfoReply } from '../src/rpc/generated/swarmcut/InfoReply.ts';
import type { Logger } from '../src/runtime/logger.ts';
import { swarmcutVersion } from '../src/runtime/version.ts';

export interface NodeInfoOptions {
  readonly directories: Directories;
  readonly node: string;
  readonly dockerSocket: string;
  readonly log: Logger;
}

interface EngineFacts {
  readonly version: string;
  readonly dataRoot: string;
  readonly shimInstalled: boolean;
}

/** What this node is, for every call that needs it fast. The thorough look is preflight/. */
export class NodeInfo {
  readonly #options: NodeInfoOptions;
  readonly #docker: Docker;
  #versions: Promise<{ criu: string; runc: string }> | undefined;

  constructor(options: NodeInfoOptions) {
    this.#options = options;
    this.#docker = new Docker({ socketPath: options.dockerSocket });
  }

  /** The engine's data directory. Waits for an engine that is still starting, for as long as it takes. */
  async dataRoot(): Promise<string> {
    for (let told = false; ; told = true) {
      try {
        return (await this.#engine()).dataRoot;
      } catch (error) {
        if (!told) this.#options.log.warn({ reason: messageOf(error) }, 'waiting for the engine');
        await delay(500);
      }
    }
  }

  async info(): Promise<InfoReply> {
    const { node, directories } = this.#options;
    this.#versions ??= versions();
    const [{ criu, runc }, engine, meminfo, disk] = await Promise.all([
      this.#versions,
      this.#engine().catch(() => ({ version: '', dataRoot: '', shimInstalled: false })),
      readFile('/proc/meminfo', 'utf8'),
      statfs(directories.state),
    ]);
    return {
      node,
      version: swarmcutVersion(),
      kernel: release(),
      criu,
      runc,
      engine: engine.version,
      shimInstalled: engine.shimInstalled,
      memoryAvailableBytes: Number(/^MemAvailable:\s+(\d+)/m.exec(meminfo)?.[1] ?? 0) * 1024,
      diskAvailableBytes: disk.bavail * disk.bsize,
      agentRssBytes: process.memoryUsage.rss(),
    };
  }

  async #engine(): Promise<EngineFacts> {
    const info = (await this.#docker.info()) as {
      ServerVersion?: string;
      DockerRootDir?: string;
      DefaultRuntime?: string;
    };
    return {
      version: info.ServerVersion ?? '',
      dataRoot: info.DockerRootDir ?? '/var/lib/docker',
      shimInstalled: info.DefaultRuntime === 'swarmcut',
    };
  }
}

async function versions(): Promise<{ criu: string; runc: string }> {
  const ask = async (command: string): Promise<string> => {
    const { stdout } = await execa(command, ['--version'], { reject: false });
    return /(?:Version:|version)\s+(\S+)/i.exec(stdout)?.[1] ?? '';
  };
  const [criu, runc] = await Promise.all([ask('criu'), ask('runc')]);
  return { criu, runc };
}
