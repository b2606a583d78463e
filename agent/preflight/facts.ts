import { readFile, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import Docker from 'dockerode';
import type { Directories } from '../../src/model/paths.ts';
import { CAPABILITIES, hasCapability } from '../../src/platform/capabilities.ts';
import { exists } from '../../src/platform/files.ts';
import { run } from '../../src/platform/processes.ts';
import { trialDump } from './trial-dump.ts';

export interface ProbeOptions {
  readonly directories: Directories;
  /** The engine's socket. Default `/var/run/docker.sock`. */
  readonly dockerSocket?: string;
}

/** What a command said: undefined if it is not installed. */
export interface Answer {
  readonly ok: boolean;
  readonly text: string;
}

/** What is found on a node. An empty version means: not there. */
export interface NodeFacts {
  readonly isRoot: boolean;
  readonly kernel: string;
  readonly criu: string;
  readonly criuCheck: Answer | undefined;
  readonly memDirtyTrack: boolean;
  readonly runc: string;
  readonly engine: string;
  readonly engineProblem: string;
  readonly storageDriver: string;
  readonly swarm: string;
  readonly shimInstalled: boolean;
  /** The engine's default runtime. */
  readonly runtime: string;
  readonly cgroupVersion: number;
  readonly nft: Answer | undefined;
  readonly iproute: Answer | undefined;
  readonly tar: Answer | undefined;
  readonly ipVs: boolean;
  /** CAP_SYS_RESOURCE is among our capabilities. */
  readonly mayChangeLimits: boolean;
  /** Why CRIU cannot dump processes of other users than root, in its own words; empty if it can. */
  readonly otherUsers: string;
  readonly memoryAvailableBytes: number;
  readonly diskAvailableBytes: number;
}

/** `f_type` of a cgroup v2 hierarchy: statfs(2). */
const CGROUP2_MAGIC = 0x63677270;

/** Everything that our rules need of nftables: a set with timeouts, `inet`, early prerouting, and setting DSCP. Only checked, not loaded. */
const NFT_PROBE = `table inet swarmcut_probe {
  set held { type ipv4_addr; flags timeout; }
  chain post { type filter hook postrouting priority 0; ip daddr @held drop; ip dscp set cs1; }
  chain out { type route hook output priority -300; ip saddr 192.0.2.1 ip saddr set 192.0.2.2; }
  chain pre { type filter hook prerouting priority -350; ip dscp cs2 drop; }
}`;

const COMMAND_TIMEOUT_MS = 20_000;

/** Looks at this node. Changes nothing; may start and dump a process for a moment. Never throws: what cannot be found out is reported as absent. */
export async function probe(options: ProbeOptions): Promise<NodeFacts> {
  const mayChangeLimits = hasCapability(CAPABILITIES.sysResource);
  const [criu, criuCheck, dirtyTrack, runc, engine, cgroup, nft, iproute, tar, ipVs, meminfo, disk, otherUsers] =
    await Promise.all([
      ask('criu', ['--version']),
      ask('criu', ['check']),
      ask('criu', ['check', '--feature', 'mem_dirty_track']),
      ask('runc', ['--version']),
      engineFacts(options.dockerSocket ?? '/var/run/docker.sock'),
      statfs('/sys/fs/cgroup').catch(() => undefined),
      ask('nft', ['--check', '--file', '-'], NFT_PROBE),
      ask('ip', ['-Version']),
      ask('tar', ['--version']),
      exists('/proc/net/ip_vs'),
      readFile('/proc/meminfo', 'utf8').catch(() => ''),
      statfs(options.directories.state).catch(() => undefined),
      // With the capability there is nothing to find out.
      mayChangeLimits ? '' : trialDump(options.directories.run, COMMAND_TIMEOUT_MS),
    ]);
  return {
    isRoot: process.getuid?.() === 0,
    kernel: release(),
    criu: versionIn(criu),
    criuCheck,
    memDirtyTrack: dirtyTrack?.ok === true,
    runc: versionIn(runc),
    ...engine,
    cgroupVersion: cgroup?.type === CGROUP2_MAGIC ? 2 : 1,
    nft,
    iproute,
    tar,
    ipVs,
    mayChangeLimits,
    otherUsers,
    memoryAvailableBytes: Number(/^MemAvailable:\s+(\d+)/m.exec(meminfo)?.[1] ?? 0) * 1024,
    diskAvailableBytes: disk === undefined ? 0 : disk.bavail * disk.bsize,
  };
}

async function ask(command: string, args: readonly string[], input = ''): Promise<Answer | undefined> {
  const ended = await run([command, ...args], { input, timeoutMs: COMMAND_TIMEOUT_MS });
  if (ended.missing) return undefined;
  return { ok: ended.exitCode === 0, text: ended.output.trim() };
}

function versionIn(answer: Answer | undefined): string {
  return /version:?\s+v?(\d\S*)/i.exec(answer?.text ?? '')?.[1] ?? '';
}

type EngineFacts = Pick<
  NodeFacts,
  'engine' | 'engineProblem' | 'storageDriver' | 'swarm' | 'shimInstalled' | 'runtime'
>;

async function engineFacts(socketPath: string): Promise<EngineFacts> {
  try {
    const info = (await new Docker({ socketPath, timeout: COMMAND_TIMEOUT_MS }).info()) as {
      readonly ServerVersion?: string;
      readonly Driver?: string;
      readonly DefaultRuntime?: string;
      readonly Swarm?: { readonly LocalNodeState?: string };
    };
    return {
      engine: info.ServerVersion ?? '',
      engineProblem: '',
      storageDriver: info.Driver ?? '',
      swarm: info.Swarm?.LocalNodeState ?? 'inactive',
      shimInstalled: info.DefaultRuntime === 'swarmcut',
      runtime: info.DefaultRuntime ?? '',
    };
  } catch (error) {
    const engineProblem = error instanceof Error ? error.message : String(error);
    return { engine: '', engineProblem, storageDriver: '', swarm: '', shimInstalled: false, runtime: '' };
  }
}
