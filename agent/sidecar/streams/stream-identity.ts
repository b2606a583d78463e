import { randomFillSync } from 'node:crypto';
import type { Endpoint } from '../../../src/model/connection.ts';

/** Which connection of the application a stream carries, and at which of its two ends this sidecar is. */
export interface StreamIdentity {
  readonly id: string;
  readonly role: 'opener' | 'acceptor';
  /** As this task's application knows them. */
  readonly client: Endpoint;
  readonly server: Endpoint;
}

const ID_BYTES = 16;
/** Randomness for many: each call of the generator costs as much as all the rest of an id. */
const random = Buffer.alloc(64 * ID_BYTES);
let used = random.length;

/** Nobody has had it before, and nobody can guess it. 32 hex digits. */
export function newStreamId(): string {
  if (used === random.length) {
    randomFillSync(random);
    used = 0;
  }
  used += ID_BYTES;
  return random.toString('hex', used - ID_BYTES, used);
}

/** The two directed channels, as the algorithms name them. `in` is towards this task. */
export function channelsOf({ id, role }: StreamIdentity): { readonly in: string; readonly out: string } {
  const toServer = `${id}>`;
  const toClient = `${id}<`;
  return role === 'opener' ? { in: toClient, out: toServer } : { in: toServer, out: toClient };
}

/** The application's end of the local connection. */
export function appEndOf({ role, client, server }: StreamIdentity): {
  readonly local: Endpoint;
  readonly remote: Endpoint;
} {
  return role === 'opener' ? { local: client, remote: server } : { local: server, remote: client };
}
