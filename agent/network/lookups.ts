import { readFile } from 'node:fs/promises';
import { pause } from '../../src/platform/deadlines.ts';

/** Docker's embedded DNS server, 127.0.0.11:53, as `/proc/net/udp` has it. */
const SERVERS: ReadonlySet<string> = new Set(['0B00007F:0035', '7F00000B:0035']);

/**
 * A socket that stays for so long without any other coming or going belongs to a library that keeps it between lookups, as nginx' `resolver` does; glibc
 * and c-ares do not. An answer takes a few milliseconds, and more than a hundred if the engine waits for a processor. Milliseconds.
 */
const KEPT_MS = 300;

/** Longest wait. Milliseconds. */
const LONGEST_MS = 1_000;

/** Milliseconds. */
const INTERVAL_MS = 2;

/**
 * Lookups of names that are under way in a task. The answer to one that is cut in two never comes: it belongs to an engine, not to the cut. glibc then
 * waits for 5 s and asks again; and if the task has stood still for longer, or is restored later than that, `getaddrinfo` fails at once with EAI_AGAIN:
 * its `poll` returns EINTR after its time (send_dg in resolv/res_send.c).
 */
export class Lookups {
  readonly #pid: number;
  /** Sockets that a library keeps between lookups. */
  #kept: ReadonlySet<string> = new Set();

  /** @param pid of the container's first process */
  constructor(pid: number) {
    this.#pid = pid;
  }

  /**
   * Waits until there is none, for a moment. To be called when the task is blocked: lookups (UDP over `lo`) go on then, and connections that would
   * follow them do not, so that they soon end.
   */
  async end(): Promise<void> {
    const begunAt = performance.now();
    let known = '';
    let knownSince = begunAt;
    for (;;) {
      const sockets = await this.#sockets();
      if (sockets.length === 0) return;
      const now = performance.now();
      const text = sockets.join(' ');
      if (text !== known) knownSince = now;
      known = text;
      if (now - knownSince > KEPT_MS) this.#kept = new Set(sockets);
      if (now - knownSince > KEPT_MS || now - begunAt > LONGEST_MS) return;
      await pause(INTERVAL_MS);
    }
  }

  /** Whether there is one; sockets that were kept throughout {@link end} do not count. */
  async underWay(): Promise<boolean> {
    return (await this.#sockets()).some((socket) => !this.#kept.has(socket));
  }

  /** Those that are connected to the engine's DNS server in the task's network namespace, by their ends. */
  async #sockets(): Promise<string[]> {
    const text = await readFile(`/proc/${this.#pid}/net/udp`, 'latin1').catch(() => '');
    return text.split('\n').flatMap((line) => {
      const [, local = '', remote = ''] = line.trim().split(/\s+/);
      return SERVERS.has(remote) ? [local] : [];
    });
  }
}
