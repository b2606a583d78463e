import { FrameError } from '../../../src/formats/part-frames.ts';
import { messageOf } from '../../../src/model/errors.ts';
import { pause } from '../../../src/platform/deadlines.ts';
import type { LiveIdentity } from '../../../src/rpc/index.ts';
import { LostConnection, PartsConnection, type Called } from './connection.ts';
import { transferEndpoint } from './protocol.ts';
import { PartsReceiver, type ReceiverOptions } from './receiver.ts';
import type { PartSource, Wanted } from '../wanted.ts';

/** A port that was found closed is not tried again for so long. Milliseconds. */
const CLOSED_MS = 120_000;

/** A connection that waits for a request is kept for so long: the cluster may take that long to place the tasks for which it was made. Milliseconds. */
const KEPT_MS = 120_000;

/** A connection that breaks is made again, at once and then after pauses, unless it breaks so often without a byte in between. */
const ATTEMPTS = 4;
const AGAIN_AFTER_MS = 250;

/** The direct way to a source cannot be gone, or not any more: gRPC may do. */
export class NoDirectWay extends Error {
  override readonly name = 'NoDirectWay';
}

/** How parts are asked for. */
export interface DirectFetch extends Omit<ReceiverOptions, 'node'> {
  readonly parts: readonly Wanted[];
  readonly source: PartSource;
  readonly signal?: AbortSignal | undefined;
}

export interface DirectWaysOptions {
  readonly identity: LiveIdentity;
  /** Where a source's listener is; default: beside its agent ({@link transferEndpoint}). */
  readonly portOf?: (source: PartSource) => number;
}

/** An agent's connections to the listeners of others (listener.ts). */
export class DirectWays {
  readonly #options: DirectWaysOptions;
  readonly #kept = new Map<string, PartsConnection[]>();
  readonly #closed = new Map<string, { readonly atMs: number; readonly why: string }>();
  readonly #timers = new Map<PartsConnection, NodeJS.Timeout>();

  constructor(options: DirectWaysOptions) {
    this.#options = options;
  }

  /**
   * Fetches parts from a source, on a connection of its own. One that breaks is made again, and goes on from where it was.
   * @throws NoDirectWay saying why; SwarmcutError as PartsReceiver.receive; the signal's reason
   */
  async fetch({ parts, source, signal, ...options }: DirectFetch): Promise<void> {
    const key = keyOf(source);
    const closed = this.#closed.get(key);
    if (closed !== undefined && performance.now() - closed.atMs < CLOSED_MS) throw new NoDirectWay(closed.why);
    await using receiver = new PartsReceiver(parts, { ...options, node: source.node });
    for (let vain = 0, came = -1; ;) {
      try {
        const connection = await this.#connection(source, signal);
        await receiver.receive(connection, signal);
        this.#keep(key, connection);
        return;
      } catch (error) {
        if (error instanceof FrameError) throw new NoDirectWay(error.message);
        if (!(error instanceof LostConnection)) throw error;
        vain = receiver.came > came ? 1 : vain + 1;
        // Nothing has ever come: it is not that something was lost.
        if (receiver.came === 0 || vain >= ATTEMPTS) throw this.#noWay(key, error, receiver.came);
        came = receiver.came;
        await pause(vain === 1 ? 0 : AGAIN_AFTER_MS * vain, signal);
      }
    }
  }

  /**
   * Makes connections that will be needed soon, up to so many, and finds out whether that can be done. Resolves when they are there, or cannot be made; never rejects.
   */
  async warmUp(source: PartSource, connections: number): Promise<void> {
    const key = keyOf(source);
    const usable = (this.#kept.get(key) ?? []).filter((one) => one.usable).length;
    try {
      for (let have = usable; have < connections; have++) {
        const connection = await PartsConnection.open(this.#calledAt(source), this.#options.identity);
        connection.release();
        this.#keep(key, connection);
      }
    } catch (error) {
      if (error instanceof LostConnection && usable === 0) this.#noWay(key, error, 0);
    }
  }

  /** Ends connections that wait; others are made when they are needed, with the certificate as it is then. */
  close(): void {
    for (const connection of [...this.#kept.values()].flat()) this.#drop(connection);
    this.#kept.clear();
    this.#closed.clear();
  }

  async #connection(source: PartSource, signal: AbortSignal | undefined): Promise<PartsConnection> {
    const kept = this.#kept.get(keyOf(source));
    for (let one = kept?.pop(); one !== undefined; one = kept?.pop()) {
      clearTimeout(this.#timers.get(one));
      this.#timers.delete(one);
      if (one.usable) return one;
    }
    return PartsConnection.open(this.#calledAt(source), this.#options.identity, signal);
  }

  #keep(key: string, connection: PartsConnection): void {
    const kept = this.#kept.get(key) ?? [];
    this.#kept.set(key, kept);
    kept.push(connection);
    const timer = setTimeout(() => {
      kept.splice(kept.indexOf(connection), 1);
      this.#drop(connection);
    }, KEPT_MS);
    this.#timers.set(connection, timer.unref());
  }

  #drop(connection: PartsConnection): void {
    clearTimeout(this.#timers.get(connection));
    this.#timers.delete(connection);
    connection.close();
  }

  #noWay(key: string, error: LostConnection, came: number): NoDirectWay {
    const why = came === 0 ? error.message : `${error.message}, again and again`;
    if (came === 0) this.#closed.set(key, { atMs: performance.now(), why });
    return new NoDirectWay(why);
  }

  #calledAt(source: PartSource): Called {
    const { address: host, port } = transferEndpoint(source.address);
    return { node: source.node, host, port: this.#options.portOf?.(source) ?? port };
  }
}

function keyOf({ node, address }: PartSource): string {
  return `${node} ${address}`;
}

/** For the log and the user: why parts come the slower way. */
export function slowerWayText({ node }: PartSource, why: unknown): string {
  return `parts of node ${node} come by gRPC, which is slower: ${messageOf(why)}`;
}
