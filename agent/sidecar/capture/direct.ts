import { connectionKey } from '../../../src/model/connection.ts';
import { passingBy } from './listening.ts';
import type { SocketReader } from './listening.ts';
import type { LocalConnection } from '../../linux/proxy-sets.ts';

/** Connections with peers that pass by, being older than one of the two sidecars. */
export class DirectConnections {
  readonly #sockets: SocketReader;
  readonly #connections = new Map<string, LocalConnection>();
  #prunedAt = 0;

  constructor(sockets: SocketReader) {
    this.#sockets = sockets;
  }

  /** Those that were alive when it was last looked. */
  get all(): LocalConnection[] {
    return [...this.#connections.values()];
  }

  get any(): boolean {
    return this.#connections.size > 0;
  }

  /** When {@link prune} has last looked. Milliseconds of `performance.now()`. */
  get prunedAt(): number {
    return this.#prunedAt;
  }

  /** What a former sidecar of the task has noted. */
  takeOver(connections: readonly LocalConnection[]): void {
    for (const connection of connections) this.#connections.set(connectionKey(connection), connection);
  }

  /** Notes all that pass by now between the task and these addresses. */
  note(remotes: ReadonlySet<string>): void {
    this.takeOver(passingBy(this.#sockets.connections(), remotes));
  }

  /** Forgets those that have ended. @returns whether one has */
  prune(): boolean {
    this.#prunedAt = performance.now();
    const alive = new Set(this.#sockets.connections().map(connectionKey));
    const ended = [...this.#connections.keys()].filter((key) => !alive.has(key));
    for (const key of ended) this.#connections.delete(key);
    return ended.length > 0;
  }
}
