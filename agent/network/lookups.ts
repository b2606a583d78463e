import { readFile } from 'node:fs/promises';
import { pause } from '../../src/platform/deadlines.ts';

/** Docker's embedded DNS server, 127.0.0.11:53, as `/proc/net/udp` has it. */
const SERVERS: ReadonlySet<string> = new Set(['0B00007F:0035', '7F00000B:0035']);

/** A socket that stays for so long without any other coming or going belongs to a library that keeps it between lookups. Milliseconds. */
const KEPT_MS = 50;

/** Longest wait. An answer takes a few milliseconds; more if the engine has no processor. Milliseconds. */
const LONGEST_MS = 500;

/** Milliseconds. */
const INTERVAL_MS = 2;

/** Sockets, by the ends that they have, that are connected to the engine's DNS server in a process' network namespace. */
async function lookups(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/net/udp`, 'latin1').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [, local = '', remote = ''] = line.trim().split(/\s+/);
    return SERVERS.has(remote) ? [local] : [];
  });
}

/**
 * Waits until no lookup of a name is under way in a task, for a moment. The answer to one that is cut in two never comes: it belongs to an engine, not
 * to the cut. glibc then waits for 5 s and asks again; and if the task has stood still for longer, or is restored later than that, `getaddrinfo` fails at
 * once with EAI_AGAIN: its `poll` returns EINTR after its time (send_dg in resolv/res_send.c).
 *
 * To be called when the task is blocked: lookups (UDP over `lo`) go on then, and connections that would follow them do not, so that they soon end.
 *
 * @param pid of the container's first process
 */
export async function lookupsEnd(pid: number): Promise<void> {
  const begunAt = performance.now();
  let known = '';
  let knownSince = begunAt;
  for (;;) {
    const sockets = await lookups(pid);
    if (sockets.length === 0) return;
    const now = performance.now();
    const text = sockets.join(' ');
    if (text !== known) knownSince = now;
    known = text;
    if (now - knownSince > KEPT_MS || now - begunAt > LONGEST_MS) return;
    await pause(INTERVAL_MS);
  }
}
