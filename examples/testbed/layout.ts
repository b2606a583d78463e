/** Names and paths of a test bed: the one place that knows where a bed's things are. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the roots and images are kept that all beds of this machine share. Survives `down`. SWARMCUT_TESTBED_CACHE: elsewhere. */
export const CACHE_DIR = process.env.SWARMCUT_TESTBED_CACHE ?? '/var/cache/swarmcut-testbed';

/** Where beds keep their state, one directory per bed. */
export const BEDS_DIR = '/var/lib/swarmcut-testbed';

/** The image that `up` puts on every node. */
export const EXAMPLES_IMAGE = 'swarmcut/examples:latest';

/** Port on which agents listen (docs/architecture.md). */
export const AGENT_PORT = 7433;

/** Most hosts a bed may have: their addresses are .1 to .250 of a /24, and a laptop does not carry more than a few. */
export const NODES_MAX = 32;

/** A service of a test bed host, watched by host/supervise.sh. */
export type ServiceName = 'engine' | 'agent';

/** One host as recorded in bed.json. */
export interface HostRecord {
  /** `n1`, `n2`, …; also the host name, and so the Swarm node's name. `n1` is the manager. */
  readonly name: string;
  /** IPv4 address on the bed's bridge. */
  readonly address: string;
}

/** What `up` writes to bed.json before it makes anything else. */
export interface BedRecord {
  readonly name: string;
  /** The first three octets of the bed's /24, e.g. `10.77.0`. */
  readonly prefix: string;
  /** Directory of the Debian root that the hosts share. */
  readonly root: string;
  readonly nodes: readonly HostRecord[];
}

/** Which bed a call is about. */
export interface BedOptions {
  /** Name of the bed; lower-case letters, digits and dashes, at most 11 characters. Default `testbed`. */
  readonly name?: string | undefined;
}

/** Something about a bed is wrong; the message says what, where and what to do. */
export class TestbedError extends Error {
  override readonly name = 'TestbedError';
}

/**
 * The bed's name, checked.
 *
 * @throws TestbedError if it cannot be part of an interface's name (15 characters, of which we take `sc-`).
 */
export function bedName(options: BedOptions): string {
  const name = options.name ?? 'testbed';
  if (!/^[a-z0-9][a-z0-9-]{0,10}$/.test(name)) {
    throw new TestbedError(
      `bed name '${name}' cannot be used: take 1 to 11 lower-case letters, digits or dashes (interfaces are named after it)`,
    );
  }
  return name;
}

/** Paths and kernel names of one bed. */
export const paths = {
  bed: (bed: string): string => path.join(BEDS_DIR, bed),
  record: (bed: string): string => path.join(BEDS_DIR, bed, 'bed.json'),
  /** A host's directory: up/ work/ mnt/ docker/ swarmcut/ log/ init.pid init.log (host/enter.sh). */
  host: (bed: string, node: string): string => path.join(BEDS_DIR, bed, 'nodes', node),
  /** Log of a host's service; readable from outside, also while the host is down. */
  log: (bed: string, node: string, service: ServiceName): string =>
    path.join(BEDS_DIR, bed, 'nodes', node, 'log', `${service}.log`),
  /** Lock file of a bed; a file without content in a tmpfs, left there. */
  lock: (bed: string): string => `/run/lock/swarmcut-testbed-${bed}.lock`,
  /** Says which run has the bed, and is locked by it (claim.ts). */
  owner: (bed: string): string => `/run/lock/swarmcut-testbed-${bed}.owner`,
  /** Network namespace of a host. */
  netns: (bed: string, node: string): string => `swarmcut-${bed}-${node}`,
  /** Network namespace with the bed's bridge. */
  lan: (bed: string): string => `swarmcut-${bed}-lan`,
  /** The machine's own interface on the bed's bridge. */
  uplink: (bed: string): string => `sc-${bed}`,
  /** The bed's cgroup, relative to each hierarchy's root. */
  cgroup: (bed: string): string => `swarmcut-${bed}`,
};

/**
 * Directory of the installed package (the one with package.json), from which hosts run coordinator and agent.
 *
 * @throws TestbedError if this file lies in no package.
 */
export function projectDir(): string {
  let dir = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(dir, 'package.json'))) {
    const parent = path.dirname(dir);
    if (parent === dir) throw new TestbedError(`no package.json above ${fileURLToPath(import.meta.url)}`);
    dir = parent;
  }
  return dir;
}
