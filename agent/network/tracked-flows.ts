import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** CRIU's images of a network namespace's connection tracking: flows, and flows that are expected (`criu/image-desc.c`, NETNF_CT and NETNF_EXP). */
const IMAGE = /^netns-(ct|exp)-\d+\.img$/;

/**
 * Leaves the tracked flows out of a checkpoint that is about to be restored. CRIU saves and restores them even where a network namespace is left empty
 * (`--empty-ns network`; `dump_net_ns` in `criu/net.c`), but not that their addresses are translated (the status bits of NAT cannot be set through
 * netlink). What comes later from the same port is taken for part of such a flow and is not translated any more: a lookup of a name goes to port 53 of
 * 127.0.0.11 itself, where nobody listens, and fails at once. A task that looks up names all the time has some thousand flows (the kernel keeps each for two
 * minutes, longer if its port is used again), and lost one lookup in a hundred or more so.
 *
 * Without them, the first packet begins a new flow, which is translated as it must be now: the engine's DNS server has another port in every container.
 * TCP connections are taken up in the middle (`nf_conntrack_tcp_loose`), and those of the task are rewritten before connection tracking sees them.
 *
 * Only names in the directory are removed: the files may be links into the store.
 */
export async function leaveOutTrackedFlows(imageDir: string): Promise<void> {
  const names = (await readdir(imageDir)).filter((name) => IMAGE.test(name));
  await Promise.all(names.map((name) => rm(join(imageDir, name))));
}
