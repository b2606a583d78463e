import { once } from 'node:events';
import { connect } from 'node:net';
import { endpointText } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import type { PartSource } from '../wanted.ts';
import { transferEndpoint } from './protocol.ts';

/** A packet that a firewall drops is not answered at all. Milliseconds. */
const PATIENCE_MS = 3_000;

/** A node whose parts cannot be fetched from its listener. */
export interface Unreached {
  readonly node: string;
  /** `host:port` that was tried. */
  readonly address: string;
  readonly why: string;
}

/** Which of these nodes do not answer where they send parts. Only a connection is made, and ended at once. Never rejects. */
export async function unreachedListeners(peers: readonly PartSource[], patienceMs = PATIENCE_MS): Promise<Unreached[]> {
  const found = await Promise.all(
    peers.map(async ({ node, address }): Promise<Unreached[]> => {
      const to = transferEndpoint(address);
      const socket = connect({ host: to.address, port: to.port });
      try {
        await once(socket, 'connect', { signal: AbortSignal.timeout(patienceMs) });
        return [];
      } catch (error) {
        const silent = error instanceof Error && error.name === 'AbortError';
        const why = silent ? `no answer for ${patienceMs / 1000} s` : messageOf(error);
        return [{ node, address: endpointText(to), why }];
      } finally {
        // An error that comes late is nobody's.
        socket.on('error', () => undefined);
        socket.destroy();
      }
    }),
  );
  return found.flat();
}
