import { createHmac, timingSafeEqual } from 'node:crypto';
import {
  acceptMacInput,
  decodeAccept,
  decodeOpen,
  encodeAccept,
  encodeOpen,
  openMacInput,
  MAC_BYTES,
} from '../../../src/streams/wire/preface.ts';
import type { AcceptMessage, OpenMessage } from '../../../src/streams/wire/preface.ts';

/**
 * Who may open a stream: whoever has the stack's key (32 random bytes, made by the coordinator, given to sidecars by their agents, never
 * on a wire). Both ends prove it over the other's fresh nonce.
 *
 * Why not TLS: it would encrypt each byte twice between two tasks whose own bytes are no better protected without us, and its sessions could
 * not be taken up again by a restored sidecar. What this protects against is a stranger on the overlay network who opens a stream or sends
 * a marker. Whoever can see and forge packets of an established connection can inject, as into the application's own TCP (docs/proxy.md).
 */
export const KEY_BYTES = 32;

/** The other end does not have the stack's key. */
export class AuthenticationError extends Error {
  override readonly name = 'AuthenticationError';
}

const NO_MAC = new Uint8Array(MAC_BYTES);

/** An OPEN with its MAC, ready to be sent. */
export function signOpen(key: Uint8Array, acceptorNonce: Uint8Array, open: Omit<OpenMessage, 'mac'>): Uint8Array {
  const bytes = encodeOpen({ ...open, mac: NO_MAC });
  bytes.set(hmac(key, openMacInput(acceptorNonce, bytes)), bytes.length - MAC_BYTES);
  return bytes;
}

/** @throws AuthenticationError, PrefaceError */
export function verifyOpen(key: Uint8Array, acceptorNonce: Uint8Array, bytes: Uint8Array): OpenMessage {
  const open = decodeOpen(bytes);
  if (!timingSafeEqual(hmac(key, openMacInput(acceptorNonce, bytes)), open.mac))
    throw new AuthenticationError('a stream was offered by somebody without the key of this stack');
  return open;
}

/** An ACCEPT with its MAC, in answer to the bytes of `open`. */
export function signAccept(key: Uint8Array, open: Uint8Array, accept: Omit<AcceptMessage, 'mac'>): Uint8Array {
  const bytes = encodeAccept({ ...accept, mac: NO_MAC });
  bytes.set(hmac(key, acceptMacInput(open, bytes)), bytes.length - MAC_BYTES);
  return bytes;
}

/** @throws AuthenticationError, PrefaceError */
export function verifyAccept(key: Uint8Array, open: Uint8Array, bytes: Uint8Array): AcceptMessage {
  const accept = decodeAccept(bytes);
  if (!timingSafeEqual(hmac(key, acceptMacInput(open, bytes)), accept.mac))
    throw new AuthenticationError('a stream was taken by somebody without the key of this stack');
  return accept;
}

function hmac(key: Uint8Array, input: Uint8Array): Buffer {
  return createHmac('sha256', key).update(input).digest();
}
