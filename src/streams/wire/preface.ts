import type { Endpoint } from '../../model/connection.ts';
import { addressText, writeIPv4 } from '../../model/address.ts';

/**
 * How two sidecars begin a stream, before the frames of frames.ts. Three messages of fixed size, numbers big-endian:
 *
 * 1. HELLO, acceptor → opener, on accept: a nonce.
 * 2. OPEN, opener → acceptor: which stream, whose connection, the opener's epoch, a nonce, and a MAC.
 * 3. ACCEPT, acceptor → opener, when its application has accepted: status, the acceptor's epoch, and a MAC.
 *
 * If both have said that they know END (frames.ts), a tunnel whose stream has ended in order may carry another. Only who made it may offer
 * one, with two messages that need no proof any more:
 *
 * 4. NEXT, opener → acceptor: which stream, whose connection, the opener's epoch.
 * 5. TAKEN, acceptor → opener: as ACCEPT.
 *
 * A MAC is HMAC-SHA256 with the stack's key over what {@link openMacInput} and {@link acceptMacInput} say: both nonces are in it, so that
 * neither message can be used again, and neither can stand for the other. This module only lays out bytes; who computes and compares
 * MACs is agent/sidecar/peers/handshake.ts.
 *
 * The epochs make a new stream act as a marker (DESIGN.md section 4): the opener sends no frame before ACCEPT.
 */
export const PREFACE_VERSION = 2;

export const HELLO_BYTES = 24;
export const OPEN_BYTES = 120;
export const ACCEPT_BYTES = 52;
export const NEXT_BYTES = 64;
export const TAKEN_BYTES = 12;
export const NONCE_BYTES = 16;
export const MAC_BYTES = 32;

/** "SCUT" */
const MAGIC = 0x53435554;
const KINDS = { hello: 1, open: 2, accept: 3, next: 4, taken: 5 } as const;
const REUSABLE = 1;
const ROLES = ['new', 'resume', 'peer'] as const;
const STATUSES = ['accepted', 'refused', 'unknown-stream', 'busy'] as const;
const MAC_OF_OPEN = OPEN_BYTES - MAC_BYTES;
const MAC_OF_ACCEPT = ACCEPT_BYTES - MAC_BYTES;

/**
 * `new`: a connection of the application begins. `resume`: the two ends of a restored one find each other. `peer`: no stream, but a link
 * over which two sidecars tell each other what listens (peer-link.ts); `client` and `server` are the link's own ends.
 */
export type StreamRole = (typeof ROLES)[number];

/** `refused`: nothing listens there any more. `unknown-stream`: nothing to resume. `busy`: a limit is reached. */
export type AcceptStatus = (typeof STATUSES)[number];

export interface OpenMessage {
  readonly role: StreamRole;
  /** The epoch that the opener's task has reached. */
  readonly epoch: number;
  /** Chosen at random by the opener of the original connection; 32 hex digits. */
  readonly streamId: string;
  /** The original four-tuple, as the applications know it. IPv4. */
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** `resume`: bytes of the channel towards the opener that the opener has. 0 for `new`. */
  readonly received: number;
  /** The opener would use the tunnel again. */
  readonly reusable: boolean;
  readonly nonce: Uint8Array;
  readonly mac: Uint8Array;
}

export interface AcceptMessage {
  readonly status: AcceptStatus;
  /** The epoch that the acceptor's task has reached. */
  readonly epoch: number;
  /** `resume`: bytes of the channel towards the acceptor that the acceptor has. 0 for `new`. */
  readonly received: number;
  /** The tunnel may carry another stream after this one. */
  readonly reusable: boolean;
  readonly mac: Uint8Array;
}

/** A new connection of the application over a tunnel that has carried others. */
export type NextMessage = Pick<OpenMessage, 'epoch' | 'streamId' | 'client' | 'server'>;

export type TakenMessage = Pick<AcceptMessage, 'status' | 'epoch'>;

export type PrefaceErrorCode =
  | 'magic' // not a sidecar
  | 'version' // a sidecar of another version
  | 'kind' // another message was due
  | 'length'
  | 'value'; // a field that cannot be

/** The other end does not begin as a sidecar does. */
export class PrefaceError extends Error {
  override readonly name = 'PrefaceError';
  readonly code: PrefaceErrorCode;

  constructor(code: PrefaceErrorCode, message: string) {
    super(`malformed preface: ${message}`);
    this.code = code;
  }
}

export function encodeHello(nonce: Uint8Array): Uint8Array {
  const bytes = begin(HELLO_BYTES, KINDS.hello);
  bytes.set(sized(nonce, NONCE_BYTES), 8);
  return bytes;
}

/** @returns the acceptor's nonce @throws PrefaceError */
export function decodeHello(bytes: Uint8Array): Uint8Array {
  check(bytes, HELLO_BYTES, KINDS.hello);
  return bytes.slice(8, 8 + NONCE_BYTES);
}

export function encodeOpen(message: OpenMessage): Uint8Array {
  const bytes = begin(OPEN_BYTES, KINDS.open);
  bytes[6] = ROLES.indexOf(message.role);
  if (message.reusable) bytes[7] = REUSABLE;
  viewOf(bytes).setUint32(8, message.epoch);
  bytes.set(hexBytes(message.streamId), 12);
  writeEndpoint(bytes, 28, message.client);
  writeEndpoint(bytes, 46, message.server);
  viewOf(bytes).setBigUint64(64, BigInt(message.received));
  bytes.set(sized(message.nonce, NONCE_BYTES), 72);
  bytes.set(sized(message.mac, MAC_BYTES), MAC_OF_OPEN);
  return bytes;
}

/** @throws PrefaceError */
export function decodeOpen(bytes: Uint8Array): OpenMessage {
  check(bytes, OPEN_BYTES, KINDS.open);
  return {
    role: pick(ROLES, bytes[6], 'role'),
    epoch: viewOf(bytes).getUint32(8),
    streamId: hexText(bytes.subarray(12, 28)),
    client: readEndpoint(bytes, 28),
    server: readEndpoint(bytes, 46),
    received: count(viewOf(bytes).getBigUint64(64)),
    reusable: bytes[7] === REUSABLE,
    nonce: bytes.slice(72, 72 + NONCE_BYTES),
    mac: bytes.slice(MAC_OF_OPEN),
  };
}

/** What the MAC of an OPEN is computed over: the acceptor's nonce, then the message without its MAC. */
export function openMacInput(acceptorNonce: Uint8Array, open: Uint8Array): Uint8Array {
  return joined(acceptorNonce, open.subarray(0, MAC_OF_OPEN));
}

export function encodeAccept(message: AcceptMessage): Uint8Array {
  const bytes = begin(ACCEPT_BYTES, KINDS.accept);
  bytes[6] = STATUSES.indexOf(message.status);
  if (message.reusable) bytes[7] = REUSABLE;
  viewOf(bytes).setUint32(8, message.epoch);
  viewOf(bytes).setBigUint64(12, BigInt(message.received));
  bytes.set(sized(message.mac, MAC_BYTES), MAC_OF_ACCEPT);
  return bytes;
}

/** @throws PrefaceError */
export function decodeAccept(bytes: Uint8Array): AcceptMessage {
  check(bytes, ACCEPT_BYTES, KINDS.accept);
  return {
    status: pick(STATUSES, bytes[6], 'status'),
    epoch: viewOf(bytes).getUint32(8),
    received: count(viewOf(bytes).getBigUint64(12)),
    reusable: bytes[7] === REUSABLE,
    mac: bytes.slice(MAC_OF_ACCEPT),
  };
}

/** What the MAC of an ACCEPT is computed over: the whole OPEN that it answers (with its MAC), then the message without its MAC. */
export function acceptMacInput(open: Uint8Array, accept: Uint8Array): Uint8Array {
  return joined(open, accept.subarray(0, MAC_OF_ACCEPT));
}

export function encodeNext({ epoch, streamId, client, server }: NextMessage): Uint8Array {
  const bytes = begin(NEXT_BYTES, KINDS.next);
  viewOf(bytes).setUint32(8, epoch);
  bytes.set(hexBytes(streamId), 12);
  writeEndpoint(bytes, 28, client);
  writeEndpoint(bytes, 46, server);
  return bytes;
}

/** @throws PrefaceError */
export function decodeNext(bytes: Uint8Array): NextMessage {
  check(bytes, NEXT_BYTES, KINDS.next);
  return {
    epoch: viewOf(bytes).getUint32(8),
    streamId: hexText(bytes.subarray(12, 28)),
    client: readEndpoint(bytes, 28),
    server: readEndpoint(bytes, 46),
  };
}

export function encodeTaken({ status, epoch }: TakenMessage): Uint8Array {
  const bytes = begin(TAKEN_BYTES, KINDS.taken);
  bytes[6] = STATUSES.indexOf(status);
  viewOf(bytes).setUint32(8, epoch);
  return bytes;
}

/** @throws PrefaceError */
export function decodeTaken(bytes: Uint8Array): TakenMessage {
  check(bytes, TAKEN_BYTES, KINDS.taken);
  return { status: pick(STATUSES, bytes[6], 'status'), epoch: viewOf(bytes).getUint32(8) };
}

function begin(length: number, kind: number): Uint8Array {
  const bytes = new Uint8Array(length);
  viewOf(bytes).setUint32(0, MAGIC);
  bytes[4] = PREFACE_VERSION;
  bytes[5] = kind;
  return bytes;
}

function check(bytes: Uint8Array, length: number, kind: number): void {
  if (bytes.length !== length) throw new PrefaceError('length', `${bytes.length} bytes instead of ${length}`);
  if (viewOf(bytes).getUint32(0) !== MAGIC) throw new PrefaceError('magic', 'not a sidecar of swarmcut');
  if (bytes[4] !== PREFACE_VERSION)
    throw new PrefaceError('version', `version ${bytes[4] ?? '?'}, this one speaks ${PREFACE_VERSION}`);
  if (bytes[5] !== kind) throw new PrefaceError('kind', `message ${bytes[5] ?? '?'} where ${kind} was due`);
}

function pick<T>(values: readonly T[], index: number | undefined, what: string): T {
  const value = values[index ?? -1];
  if (value === undefined) throw new PrefaceError('value', `${what} ${index ?? '?'}`);
  return value;
}

function count(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new PrefaceError('value', `a count of ${value.toString()}`);
  return Number(value);
}

/** 16 bytes of address (IPv4 is mapped into IPv6) and 2 of port. */
function writeEndpoint(bytes: Uint8Array, at: number, endpoint: Endpoint): void {
  bytes[at + 10] = 0xff;
  bytes[at + 11] = 0xff;
  // The layout has room for IPv6; the sidecar does not intercept it yet (docs/proxy.md).
  if (!writeIPv4(bytes, at + 12, endpoint.address))
    throw new PrefaceError('value', `${endpoint.address} is not an IPv4 address`);
  bytes[at + 16] = endpoint.port >>> 8;
  bytes[at + 17] = endpoint.port;
}

function readEndpoint(bytes: Uint8Array, at: number): Endpoint {
  for (let index = 0; index < 12; index++)
    if (bytes[at + index] !== (index < 10 ? 0 : 0xff))
      throw new PrefaceError('value', `${addressText([...bytes.subarray(at, at + 16)])} is not an IPv4 address`);
  const [a, b, c, d] = [bytes[at + 12], bytes[at + 13], bytes[at + 14], bytes[at + 15]];
  return {
    address: `${a ?? 0}.${b ?? 0}.${c ?? 0}.${d ?? 0}`,
    port: ((bytes[at + 16] ?? 0) << 8) | (bytes[at + 17] ?? 0),
  };
}

function hexBytes(text: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/.test(text)) throw new PrefaceError('value', `${text} is no stream id`);
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at++) bytes[at] = Number.parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function hexText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte] ?? '';
  return text;
}

function sized(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new PrefaceError('length', `${bytes.length} bytes instead of ${length}`);
  return bytes;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
