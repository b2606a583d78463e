import { endpointOf } from '../../src/model/connection.ts';
import { firstFew } from '../../src/model/visible.ts';
import { isOlder } from './version.ts';
import type { NodeFacts } from './facts.ts';

/** One line of the table of `coordinator check`. Same shape as `Check` in proto/agent.proto. */
export interface PreflightCheck {
  readonly name: string;
  /** `WARNING`: works, with a limit. `FAILED`: snapshots or restores will fail. */
  readonly verdict: 'OK' | 'WARNING' | 'FAILED';
  readonly found: string;
  /** What to do about it; empty when OK. */
  readonly advice: string;
}

/** Oldest versions that can do what we ask of them. */
const MIN_CRIU = '3.17';
const MIN_RUNC = '1.1';
const MIN_ENGINE = '20.10';

/** Since Linux 6.16 SO_PASSCRED exists on unix sockets only; CRIU before 4.2 asks every TCP socket for it and gives up. */
const KERNEL_NEEDS_NEW_CRIU = '6.16';
const MIN_CRIU_ON_NEW_KERNEL = '4.2';

const LITTLE_MEMORY_BYTES = 512 * 1024 ** 2;
const LITTLE_DISK_BYTES = 2 * 1024 ** 3;
const NO_DISK_BYTES = 256 * 1024 ** 2;

/** Judges what was found on a node. */
export function judge(facts: NodeFacts): PreflightCheck[] {
  return [
    facts.isRoot ? ok('root', 'yes') : failed('root', 'no', 'run the agent as root'),
    ok('kernel', facts.kernel),
    criu(facts),
    criuSelfCheck(facts),
    atLeast('runc', facts.runc, MIN_RUNC, 'install runc'),
    engine(facts),
    storage(facts),
    swarm(facts),
    facts.shimInstalled
      ? ok('shim', 'default runtime')
      : failed('shim', `default runtime is ${facts.runtime || 'unknown'}`, 'run `agent install` on this node'),
    ok('cgroup', `v${facts.cgroupVersion}`),
    command('nftables', facts.nft, 'install nftables; the kernel needs nf_tables with sets and payload rewriting'),
    command('iproute2', facts.iproute, 'install iproute2'),
    gnuTar(facts),
    memory(facts),
    disk(facts),
    facts.memDirtyTrack
      ? ok('mem_dirty_track', 'yes')
      : warning(
          'mem_dirty_track',
          'no',
          'tasks stay frozen while all of their memory is written: the kernel lacks soft-dirty tracking (CONFIG_MEM_SOFT_DIRTY)',
        ),
    facts.otherUsers === ''
      ? ok('other users', 'processes can be dumped')
      : warning(
          'other users',
          facts.otherUsers,
          'CRIU cannot dump processes of other users than root: services with `user:`, PostgreSQL, nginx. Give the agent all capabilities',
        ),
    facts.mayChangeLimits
      ? ok('CAP_SYS_RESOURCE', 'yes')
      : warning(
          'CAP_SYS_RESOURCE',
          'no',
          'limits (`ulimits`) above those of the engine itself are lower after a restore: give agent and engine all capabilities',
        ),
    facts.ipVs
      ? ok('ip_vs', 'yes')
      : warning('ip_vs', 'no', 'services need endpoint_mode dnsrr here, or load the kernel module ip_vs'),
  ];
}

/** Whether parts of other nodes come the quick way. @param peers the other nodes @param unreached those whose listener does not answer */
export function judgePeers(
  peers: readonly { readonly node: string }[],
  unreached: readonly { readonly node: string; readonly address: string; readonly why: string }[],
): PreflightCheck {
  const name = 'parts from';
  if (unreached.length === 0) return ok(name, firstFew(peers.map(({ node }) => node)));
  const found = firstFew(unreached.map(({ node, address, why }) => `not ${node} (${address}: ${why})`));
  const ports = [...new Set(unreached.map(({ address }) => endpointOf(address).port))];
  return warning(
    name,
    found,
    `parts of these nodes come by gRPC, which takes more processor time: open TCP ${ports.join(', ')} between the nodes, and see that their agents run`,
  );
}

/** The CRIU that a kernel needs. */
export function neededCriu(kernel: string): string {
  return isOlder(kernel, KERNEL_NEEDS_NEW_CRIU) ? MIN_CRIU : MIN_CRIU_ON_NEW_KERNEL;
}

function criu(facts: NodeFacts): PreflightCheck {
  const needed = neededCriu(facts.kernel);
  return atLeast('criu', facts.criu, needed, `install CRIU ${needed} or later: kernel ${facts.kernel} needs it`);
}

/** Covers TCP repair, among others. */
function criuSelfCheck({ criuCheck }: NodeFacts): PreflightCheck {
  if (criuCheck === undefined) return failed('criu check', 'not run', 'install CRIU');
  const lines = criuCheck.text.split('\n').filter((line) => /Error|Warn/.test(line));
  if (!criuCheck.ok) {
    return failed(
      'criu check',
      lines[0] ?? criuCheck.text,
      'see `criu check` on this node: CRIU or the kernel lacks something',
    );
  }
  return ok('criu check', 'looks good');
}

function engine(facts: NodeFacts): PreflightCheck {
  if (facts.engine === '') return failed('engine', facts.engineProblem, 'start dockerd, or say where its socket is');
  return atLeast('engine', facts.engine, MIN_ENGINE, 'update the Docker engine');
}

function storage({ storageDriver }: NodeFacts): PreflightCheck {
  if (storageDriver === 'overlay2' || storageDriver === 'overlayfs') return ok('storage driver', storageDriver);
  return failed('storage driver', storageDriver || 'unknown', 'use the storage driver overlay2 or overlayfs');
}

function swarm({ swarm: state }: NodeFacts): PreflightCheck {
  if (state === 'active') return ok('swarm', state);
  return failed('swarm', state || 'unknown', 'join this node to the Swarm: docker swarm join');
}

function command(name: string, answer: NodeFacts['nft'], advice: string): PreflightCheck {
  if (answer === undefined) return failed(name, 'not installed', advice);
  return answer.ok ? ok(name, 'works') : failed(name, answer.text.split('\n')[0] ?? 'fails', advice);
}

function gnuTar({ tar }: NodeFacts): PreflightCheck {
  const advice = 'install GNU tar';
  if (tar === undefined) return failed('tar', 'not installed', advice);
  const line = tar.text.split('\n')[0] ?? '';
  return line.includes('GNU tar')
    ? ok('tar', line)
    : failed('tar', line, `${advice}: extended attributes and holes are needed`);
}

function memory({ memoryAvailableBytes: bytes }: NodeFacts): PreflightCheck {
  if (bytes >= LITTLE_MEMORY_BYTES) return ok('memory', `${mebibytes(bytes)} available`);
  return warning('memory', `${mebibytes(bytes)} available`, 'dumps go to disk, which keeps tasks frozen longer');
}

function disk({ diskAvailableBytes: bytes }: NodeFacts): PreflightCheck {
  const found = `${mebibytes(bytes)} free`;
  const advice = 'free some space under the state directory: `coordinator rm`';
  if (bytes < NO_DISK_BYTES) return failed('disk', found, advice);
  return bytes < LITTLE_DISK_BYTES ? warning('disk', found, advice) : ok('disk', found);
}

function atLeast(name: string, version: string, minimum: string, advice: string): PreflightCheck {
  if (version === '') return failed(name, 'not installed', advice);
  return isOlder(version, minimum) ? failed(name, version, advice) : ok(name, version);
}

function ok(name: string, found: string): PreflightCheck {
  return { name, verdict: 'OK', found, advice: '' };
}

function warning(name: string, found: string, advice: string): PreflightCheck {
  return { name, verdict: 'WARNING', found, advice };
}

function failed(name: string, found: string, advice: string): PreflightCheck {
  return { name, verdict: 'FAILED', found, advice };
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 ** 2)} MiB`;
}
