import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inNetns, inNewNetns } from '../linux/sys.ts';

const ROOT = '/proc/sys';

/**
 * Ours: a restored task gets them as its rewritten connections need them (agent/network/rewriting/addresses.ts). What a compose file says of
 * them comes from the new container's bundle.
 */
const OURS =
  /^net\/ipv[46]\/(conf\/[^/]+\/(rp_filter|accept_local)|ip_nonlocal_bind|icmp_ratelimit|ip_local_reserved_ports)$/;

/** Not looked at: many, and the node's own for the most part. What a compose file says of them comes from the new container's bundle, too. */
const LEFT_OUT = new Set(['net/netfilter', 'net/nf_conntrack_max']);

/** Folders with one subfolder for each interface: names and number of interfaces are the engine's. */
const BY_INTERFACE = /^net\/[^/]+\/(conf|neigh)$/;
const NO_INTERFACES = new Set(['all', 'default', 'lo']);

/** By path below `/proc/sys`. */
export type Sysctls = ReadonlyMap<string, string>;

/**
 * The settings of a network namespace that somebody has changed: the engine, the compose file's `sysctls`, or a program. They are told from the
 * kernel's own by a namespace that is made for the comparison, and remembered for a
 * while: some 10 ms then, synchronous, before anything is frozen.
 * @param netns `/proc/PID/ns/net`
 * @throws SystemCallError when the task is gone
 */
export function changedSysctls(netns: string): Sysctls {
  const there = inNetns(netns, () => readAll());
  const fresh = freshSysctls();
  return new Map([...there].filter(([path, value]) => value !== fresh.get(path) && !OURS.test(path)));
}

/** How long the settings of a new namespace are taken for true: an administrator seldom changes what new ones get. Milliseconds. */
const REMEMBERED_MS = 60_000;
let remembered: { readonly at: number; readonly sysctls: Map<string, string> } | undefined;

function freshSysctls(): Map<string, string> {
  const now = performance.now();
  if (remembered === undefined || now - remembered.at > REMEMBERED_MS)
    remembered = { at: now, sysctls: inNewNetns(() => readAll()) };
  return remembered.sysctls;
}

/** Those of the thread's present network namespace that can be written. */
function readAll(): Map<string, string> {
  const found = new Map<string, string>();
  const folders = ['net'];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (LEFT_OUT.has(path)) continue;
      if (entry.isDirectory()) {
        if (!BY_INTERFACE.test(folder) || NO_INTERFACES.has(entry.name)) folders.push(path);
        continue;
      }
      const value = readWritable(join(ROOT, path));
      if (value !== undefined) found.set(path, value);
    }
  }
  return found;
}

function readWritable(file: string): string | undefined {
  try {
    if ((statSync(file).mode & 0o200) === 0) return undefined;
    const text = readFileSync(file, 'utf8').replace(/\n$/, '');
    return text.includes('\n') ? undefined : text;
  } catch {
    // Only to be written (`route/flush`), or has no value yet (`stable_secret`).
    return undefined;
  }
}

/**
 * The settings that a restored task's network namespace gets: those that its new container is to have, and over them those of the cut.
 * @param spec `linux.sysctl` of the new container's bundle, with dots
 * @param saved by path
 */
export function restoredSysctls(
  spec: Readonly<Record<string, string>>,
  saved: Readonly<Record<string, string>> = {},
): Sysctls {
  // As runc reads them. Those of other namespaces are CRIU's business.
  const wanted = Object.entries(spec).map(([name, value]) => [name.replaceAll('.', '/'), value] as const);
  return new Map([...wanted, ...Object.entries(saved)].filter(([path]) => isSysctl(path)));
}

/** They are written by a shell, below `/proc/sys`. */
function isSysctl(path: string): boolean {
  return /^net\/[A-Za-z0-9_./@-]+$/.test(path) && !path.split('/').includes('..');
}
