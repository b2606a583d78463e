import { randomBytes } from 'node:crypto';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { within } from '../../../src/platform/deadlines.ts';
import {
  ACCEPT_BYTES,
  HELLO_BYTES,
  NONCE_BYTES,
  TAKEN_BYTES,
  decodeHello,
  decodeTaken,
  encodeNext,
} from '../../../src/streams/wire/preface.ts';
import type { AcceptMessage, OpenMessage } from '../../../src/streams/wire/preface.ts';
import { signOpen, verifyAccept } from './handshake.ts';
import { Link } from '../sockets/link.ts';
import { PrefaceReader } from './preface-reader.ts';
import { PORTS } from '../../linux/proxy-table.ts';
import { connectFrom } from '../sockets/sockets.ts';
import type { Tunnels } from '../sockets/tunnels.ts';

/** Somebody who is connected and says nothing is not waited for longer. */
export const HANDSHAKE_TIMEOUT_MS = 5_000;

export type Offer = Omit<OpenMessage, 'nonce' | 'mac'>;

/** What another sidecar has answered. */
export interface Answer {
  readonly accept: Omit<AcceptMessage, 'mac'>;
  readonly tunnel: Link;
  /** What came behind the answer. */
  readonly early: Buffer;
}

/**
 * Calls the sidecar at an address and offers it a stream.
 * @param offer resolves with what is offered, as late as possible: the epoch in it must be that of the moment
 * @throws Error when nobody answers, or the connection breaks; AuthenticationError, PrefaceError; and what `offer` throws
 */
export async function callSidecar(options: {
  readonly netns: string;
  readonly key: Uint8Array;
  readonly address: string;
  readonly tunnels: Tunnels;
  readonly offer: () => Promise<Offer>;
}): Promise<Answer> {
  const { netns, key, address, tunnels } = options;
  const tunnel = new Link(connectFrom(netns, { address, port: PORTS.tunnel }));
  tunnels.add(tunnel, address);
  try {
    const reader = new PrefaceReader(tunnel);
    const hello = await inTime(reader.read(HELLO_BYTES), address);
    const open = signOpen(key, decodeHello(hello), { ...(await options.offer()), nonce: randomBytes(NONCE_BYTES) });
    tunnel.write(open);
    // The peer may be frozen by now, and wait as long as it likes. One that is gone ends the tunnel (doubts.ts).
    const accept = verifyAccept(key, open, await reader.read(ACCEPT_BYTES));
    return { accept, tunnel, early: reader.rest };
  } catch (error) {
    tunnel.reset();
    throw error;
  }
}

/**
 * Offers a stream over a tunnel that has carried another one, and was not idle for long.
 * @throws as {@link callSidecar}; that the tunnel was closed meanwhile says nothing about the other sidecar
 */
export async function offerNext(tunnel: Link, offer: () => Promise<Offer>): Promise<Answer> {
  const reader = new PrefaceReader(tunnel);
  let timer: NodeJS.Timeout | undefined;
  try {
    tunnel.write(encodeNext(await offer()));
    // Somebody whose kernel does not even acknowledge it is not waited for, as if he had not said HELLO.
    timer = setTimeout(() => {
      if (!tunnel.acknowledged) tunnel.reset();
    }, HANDSHAKE_TIMEOUT_MS);
    const { status, epoch } = decodeTaken(await reader.read(TAKEN_BYTES));
    return { accept: { status, epoch, received: 0, reusable: true }, tunnel, early: reader.rest };
  } catch (error) {
    tunnel.reset();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function inTime<T>(work: Promise<T>, address: string): Promise<T> {
  const late = (): Error => new SwarmcutError('unreachable', `no answer from the sidecar at ${address}`);
  return within(work, HANDSHAKE_TIMEOUT_MS, late);
}
