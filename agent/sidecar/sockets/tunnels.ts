import { IPPROTO_TCP, TCP_KEEPIDLE, TCP_KEEPINTVL, setOption } from '../../linux/sys.ts';
import type { Link } from './link.ts';

/**
 * The keep-alive of tunnels, in seconds: three probes within 30 s, so that a node that is busy or stands still for some seconds is not taken
 * for dead. It is the last resort: with an agent, or a link between the two sidecars, more is known sooner (peers/doubts.ts). There is no
 * TCP_USER_TIMEOUT: the kernel would also end a tunnel whose other end is there and only takes nothing for so long (a recording that is full).
 */
export const TUNNEL_KEEP_ALIVE = { idle: 15, interval: 5, probes: 3 } as const;
/** While something makes them doubtful. The number of probes stays, so that this takes 16 s for a node that does not answer. */
const DOUBTED = { idle: 1, interval: 5 } as const;

/** For so long the kernel looks for a tunnel's other end when it has heard nothing of it for a second. */
const PROBING_MS = 3_000;

interface Tunnel {
  readonly link: Link;
  /** By `performance.now()`. */
  readonly sinceMs: number;
}

/** The connections with other sidecars, by these sidecars' addresses: what must end when one of them is gone without a word. */
export class Tunnels {
  readonly #tunnels = new Map<string, Set<Tunnel>>();

  /** Addresses of sidecars with which there are tunnels. */
  get addresses(): string[] {
    return [...this.#tunnels.keys()];
  }

  has(address: string): boolean {
    return this.#tunnels.has(address);
  }

  /** Knows it until it is gone. @param address of the other sidecar */
  add(link: Link, address: string): void {
    link.peer = address;
    const tunnel = { link, sinceMs: performance.now() };
    const all = this.#tunnels.get(address) ?? new Set();
    this.#tunnels.set(address, all.add(tunnel));
    link.onGone(() => {
      all.delete(tunnel);
      if (all.size === 0 && this.#tunnels.get(address) === all) this.#tunnels.delete(address);
    });
  }

  /**
   * The sidecar there is gone: ends what was made with it, behind all that has come from it.
   * @param beforeMs what is younger is with its successor
   */
  abandon(address: string, beforeMs: number, reason: string): void {
    for (const { link, sinceMs } of this.#tunnels.get(address) ?? [])
      if (sinceMs < beforeMs) link.abandon(new Error(reason));
  }

  /**
   * Somebody is there, perhaps not the one with whom the tunnels were made: the kernel over there knows which of them it has, and resets the
   * others as soon as it is asked.
   */
  probe(address: string): void {
    const probed = [...(this.#tunnels.get(address) ?? [])].map(({ link }) => link);
    for (const link of probed) keepAlive(link, DOUBTED);
    setTimeout(() => {
      for (const link of probed) keepAlive(link, TUNNEL_KEEP_ALIVE);
    }, PROBING_MS).unref();
  }
}

function keepAlive(link: Link, { idle, interval }: { readonly idle: number; readonly interval: number }): void {
  if (link.gone) return;
  setOption(link.fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
  setOption(link.fd, IPPROTO_TCP, TCP_KEEPIDLE, idle); // in force at once
}
