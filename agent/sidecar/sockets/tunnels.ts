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

/** Idle tunnels are closed after so long: by who made them, and by the other end only if that one does not. */
const IDLE_MS = { own: 10_000, others: 30_000 } as const;
/** Most idle ones: of our own with one address; and of all others'. */
const MOST_IDLE = { own: 64, others: 1_024 } as const;
const TIDY_MS = 5_000;

interface Tunnel {
  readonly link: Link;
  readonly address: string;
  /** By `performance.now()`. */
  readonly sinceMs: number;
  /** It was not certain that its other end is there. */
  doubted: boolean;
  /** `own`: we have made it, and may use it again. Undefined: it carries a stream. */
  idle: 'own' | 'others' | undefined;
  idleSinceMs: number;
}

/**
 * The connections with other sidecars, by these sidecars' addresses: what must end when one of them is gone without a word. A tunnel whose
 * stream has ended in order is kept for the next one, for a short time. Never one that was doubted, or whose peer is.
 */
export class Tunnels {
  /** Those that carry a stream. */
  readonly #used = new Map<string, Set<Tunnel>>();
  readonly #idle = { own: new Map<string, Set<Tunnel>>(), others: new Map<string, Set<Tunnel>>() };
  readonly #tunnels = new Map<Link, Tunnel>();
  #idleOthers = 0;
  #tidying: NodeJS.Timeout | undefined;

  /** Addresses of sidecars with which there are streams. */
  get addresses(): string[] {
    return [...this.#used.keys()];
  }

  has(address: string): boolean {
    return this.#used.has(address);
  }

  /** Knows it until it is gone. @param address of the other sidecar */
  add(link: Link, address: string): void {
    link.peer = address;
    const tunnel = {
      ...{ link, address, sinceMs: performance.now() },
      ...{ doubted: false, idle: undefined, idleSinceMs: 0 },
    };
    this.#tunnels.set(link, tunnel);
    enter(this.#used, tunnel);
    link.onGone(() => {
      this.#tunnels.delete(link);
      this.#leave(tunnel);
    });
  }

  /**
   * The stream that it carried has ended in order at both ends.
   * @param own we have made it
   * @returns false if it is not to be used again: it is being closed then
   */
  rest(link: Link, own: boolean): boolean {
    const tunnel = this.#tunnels.get(link);
    const kind = own ? 'own' : 'others';
    // Its end, or the other one's word that it does not take another stream, has to be seen.
    link.reading = true;
    const sound = tunnel !== undefined && !tunnel.doubted && link.sound;
    if (!sound || this.#many(tunnel, kind)) {
      link.end();
      return false;
    }
    this.#leave(tunnel);
    tunnel.idle = kind;
    tunnel.idleSinceMs = performance.now();
    enter(this.#idle[kind], tunnel);
    if (!own) this.#idleOthers += 1;
    else link.handle(() => link.reset(), { ...NOTHING, ended: () => link.reset() });
    this.#tidySoon();
    return true;
  }

  /** One of our own that may carry a new stream, the one that has waited the least. Undefined: there is none. */
  take(address: string): Link | undefined {
    let last: Tunnel | undefined;
    for (const tunnel of this.#idle.own.get(address) ?? []) last = tunnel;
    if (last) this.use(last.link);
    return last?.link;
  }

  /** An idle one carries a stream again. */
  use(link: Link): void {
    const tunnel = this.#tunnels.get(link);
    if (tunnel?.idle === undefined) return;
    this.#leave(tunnel);
    tunnel.idle = undefined;
    enter(this.#used, tunnel);
  }

  /** The sidecar there may be gone, or about to make its cut: nothing that waits is used again. */
  dropIdle(address: string): void {
    for (const { link } of this.#idleWith(address)) link.reset();
  }

  /**
   * The sidecar there is gone: ends what was made with it, behind all that has come from it.
   * @param beforeMs what is younger is with its successor
   */
  abandon(address: string, beforeMs: number, reason: string): void {
    this.dropIdle(address);
    for (const { link, sinceMs } of this.#used.get(address) ?? [])
      if (sinceMs < beforeMs) link.abandon(new Error(reason));
  }

  /**
   * Somebody is there, perhaps not the one with whom the tunnels were made: the kernel over there knows which of them it has, and resets the
   * others as soon as it is asked.
   */
  probe(address: string): void {
    this.dropIdle(address);
    const probed = [...(this.#used.get(address) ?? [])];
    for (const tunnel of probed) {
      tunnel.doubted = true;
      keepAlive(tunnel.link, DOUBTED);
    }
    setTimeout(() => {
      for (const { link } of probed) keepAlive(link, TUNNEL_KEEP_ALIVE);
    }, PROBING_MS).unref();
  }

  #idleWith(address: string): Tunnel[] {
    return [...(this.#idle.own.get(address) ?? []), ...(this.#idle.others.get(address) ?? [])];
  }

  #many({ address }: Tunnel, kind: 'own' | 'others'): boolean {
    const idle = kind === 'own' ? (this.#idle.own.get(address)?.size ?? 0) : this.#idleOthers;
    return idle >= MOST_IDLE[kind];
  }

  #leave(tunnel: Tunnel): void {
    if (tunnel.idle === 'others') this.#idleOthers -= 1;
    const all = tunnel.idle === undefined ? this.#used : this.#idle[tunnel.idle];
    const some = all.get(tunnel.address);
    some?.delete(tunnel);
    if (some?.size === 0) all.delete(tunnel.address);
  }

  /** Closes those that have waited for long. */
  #tidySoon(): void {
    this.#tidying ??= setTimeout(() => {
      this.#tidying = undefined;
      const now = performance.now();
      for (const kind of ['own', 'others'] as const)
        for (const tunnel of [...this.#idle[kind].values()].flatMap((some) => [...some]))
          if (now - tunnel.idleSinceMs > IDLE_MS[kind]) tunnel.link.reset();
      if (this.#idle.own.size + this.#idle.others.size > 0) this.#tidySoon();
    }, TIDY_MS).unref();
  }
}

const NOTHING = {
  drained: () => undefined,
  ended: () => undefined,
  finished: () => undefined,
  closed: () => undefined,
} as const;

function enter(all: Map<string, Set<Tunnel>>, tunnel: Tunnel): void {
  const some = all.get(tunnel.address);
  if (some) some.add(tunnel);
  else all.set(tunnel.address, new Set([tunnel]));
}

function keepAlive(link: Link, { idle, interval }: { readonly idle: number; readonly interval: number }): void {
  if (link.gone) return;
  setOption(link.fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
  setOption(link.fd, IPPROTO_TCP, TCP_KEEPIDLE, idle); // in force at once
}
