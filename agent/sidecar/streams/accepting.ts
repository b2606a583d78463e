import { randomBytes } from 'node:crypto';
import type { Endpoint } from '../../../src/model/connection.ts';
import { endpointText } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import {
  NEXT_BYTES,
  NONCE_BYTES,
  OPEN_BYTES,
  decodeNext,
  encodeHello,
  encodeTaken,
} from '../../../src/streams/wire/preface.ts';
import type { AcceptStatus } from '../../../src/streams/wire/preface.ts';
import { HANDSHAKE_TIMEOUT_MS } from '../peers/call.ts';
import type { Offer } from '../peers/call.ts';
import { signAccept, verifyOpen } from '../peers/handshake.ts';
import { Link } from '../sockets/link.ts';
import { PrefaceReader } from '../peers/preface-reader.ts';
import { connectFrom } from '../sockets/sockets.ts';
import type { StreamIdentity } from './stream-identity.ts';
import type { Streams } from './streams.ts';

/** Somebody with the stack's key has called. */
export interface Call {
  readonly open: Offer;
  readonly tunnel: Link;
  /** What came behind OPEN. */
  readonly early: Buffer;
  /** The answer, to be written to the tunnel. @param received as in AcceptMessage */
  sign(status: AcceptStatus, epoch: number, received: number): Uint8Array;
}

/**
 * Lets whoever has connected prove itself.
 * @throws AuthenticationError, PrefaceError, or Error when it says nothing in time; the tunnel is reset then
 */
export async function hear(tunnel: Link, key: Uint8Array): Promise<Call> {
  const timer = setTimeout(() => tunnel.reset(), HANDSHAKE_TIMEOUT_MS);
  try {
    const nonce = randomBytes(NONCE_BYTES);
    const reader = new PrefaceReader(tunnel);
    tunnel.write(encodeHello(nonce));
    const message = await reader.read(OPEN_BYTES);
    const open = verifyOpen(key, nonce, message);
    return {
      open,
      tunnel,
      early: reader.rest,
      sign: (status, epoch, received) => signAccept(key, message, { status, epoch, received, reusable: open.reusable }),
    };
  } catch (error) {
    tunnel.reset();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for the next stream that is offered over a tunnel. Who breaks the format, or sends anything before it is answered, is reset.
 * @param early what has come already, valid only during the call
 * @param heard gets it; the tunnel is not read until somebody else does
 */
export function hearNext(tunnel: Link, early: Uint8Array, heard: (call: Call) => void): void {
  let bytes: Uint8Array = Buffer.alloc(0);
  const take = (read: Uint8Array): void => {
    bytes = Buffer.concat([bytes, read]);
    if (bytes.length < NEXT_BYTES) return;
    tunnel.reading = false;
    try {
      const next = decodeNext(bytes);
      const sign: Call['sign'] = (status, epoch) => encodeTaken({ status, epoch });
      heard({ open: { ...next, role: 'new', received: 0, reusable: true }, tunnel, early: Buffer.alloc(0), sign });
    } catch {
      tunnel.reset();
    }
  };
  const nothing = (): void => undefined;
  tunnel.handle(take, { drained: nothing, ended: () => tunnel.reset(), finished: nothing, closed: nothing });
  if (early.length > 0) take(early);
}

export interface AcceptOptions {
  readonly netns: string;
  readonly log: (message: string, details: object) => void;
  /** Resolves when the application's packets of this connection will be captured. @param peer the opener's present address */
  readonly capture: (open: Offer, peer: string) => Promise<void>;
}

/** A new connection for our application. Resolves when it has been accepted or refused; rejects only for errors of ours. */
export async function acceptStream(streams: Streams, call: Call, options: AcceptOptions): Promise<void> {
  const { open, tunnel } = call;
  if (streams.get(open.streamId)) {
    tunnel.write(call.sign('unknown-stream', streams.epoch, 0));
    tunnel.end();
    return;
  }
  const { client, server } = open;
  await options.capture(open, tunnel.peer);
  const identity: StreamIdentity = { id: open.streamId, role: 'acceptor', client, server };
  // Opened after its opener's cut, the stream makes this task cut before the application hears of it.
  await streams.opened(identity, open.epoch);
  await streams.released();
  let app: Link;
  try {
    app = await connectApp(options.netns, server, client);
  } catch (error) {
    options.log('the application refuses', { to: endpointText(server), error: messageOf(error) });
    streams.forget(identity, false);
    tunnel.write(call.sign('refused', streams.epoch, 0));
    tunnel.end();
    return;
  }
  if (tunnel.gone || streams.get(identity.id)) {
    app.reset();
    tunnel.reset();
    if (!streams.get(identity.id)) streams.forget(identity, true);
    return;
  }
  const stream = streams.add(identity, server, app);
  tunnel.write(call.sign('accepted', streams.epoch, 0));
  stream.open(tunnel, call.early, open.reusable);
}

/** @throws the system's error when the application refuses */
export async function connectApp(netns: string, server: Endpoint, client: Endpoint): Promise<Link> {
  const app = new Link(connectFrom(netns, server, client));
  await app.connected();
  return app;
}
