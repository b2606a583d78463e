/**
 * The layout of an encrypted part: a header, then segments, each with its own authentication tag. The STREAM construction of Hoang, Reyhanitabar,
 * Rogaway and Vizár ("Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015), as age and Tink have it: a segment's nonce says
 * where it stands and whether it is the last, so that one that is missing, moved, repeated or left out at the end is noticed. The header, with
 * the length of the whole, is authenticated with every segment. Pure: no cipher is in here.
 */

/** Begins every encrypted part. */
const MAGIC = 'swarmcut part v1';

/** The magic, plain bytes of a segment (u32), zero (u32), plain bytes of the whole (u64); big-endian. */
export const SEALED_HEADER_BYTES = 32;

/** Of AES-GCM: behind each segment. */
export const TAG_BYTES = 16;

/** Plain bytes of a segment when we write: bounds what must be in memory, and what must be read for one byte. */
export const SEGMENT_BYTES = 256 * 1024;

/** A header may ask for no larger ones: they are read whole. */
const MAX_SEGMENT_BYTES = 16 * 1024 * 1024;

/** The counter in a nonce has 32 bits. */
const MAX_SEGMENTS = 2 ** 32;

/** What the header says. */
export interface SealedShape {
  readonly segmentBytes: number;
  /** Of the whole, as it was before. */
  readonly plainBytes: number;
}

/** How many segments there are: an empty part has one, too, so that there is something to authenticate. */
export function segmentCount({ segmentBytes, plainBytes }: SealedShape): number {
  return Math.max(1, Math.ceil(plainBytes / segmentBytes));
}

/** Size of the encrypted part. Bytes. */
export function sealedBytes(shape: SealedShape): number {
  return SEALED_HEADER_BYTES + shape.plainBytes + segmentCount(shape) * TAG_BYTES;
}

/** Where a segment lies, and how much of it is plain text. */
export function segmentAt(shape: SealedShape, index: number): { readonly at: number; readonly plainBytes: number } {
  return {
    at: SEALED_HEADER_BYTES + index * (shape.segmentBytes + TAG_BYTES),
    plainBytes: Math.min(shape.segmentBytes, shape.plainBytes - index * shape.segmentBytes),
  };
}

export function encodeSealedHeader({ segmentBytes, plainBytes }: SealedShape): Uint8Array {
  const bytes = new Uint8Array(SEALED_HEADER_BYTES);
  bytes.set(new TextEncoder().encode(MAGIC));
  const view = new DataView(bytes.buffer);
  view.setUint32(16, segmentBytes);
  view.setBigUint64(24, BigInt(plainBytes));
  return bytes;
}

/** @returns undefined when these bytes do not begin an encrypted part that this version can read */
export function decodeSealedHeader(bytes: Uint8Array): SealedShape | undefined {
  if (bytes.length < SEALED_HEADER_BYTES) return undefined;
  if (new TextDecoder('latin1').decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, SEALED_HEADER_BYTES);
  const shape = { segmentBytes: view.getUint32(16), plainBytes: Number(view.getBigUint64(24)) };
  if (view.getUint32(20) !== 0 || shape.segmentBytes === 0 || shape.segmentBytes > MAX_SEGMENT_BYTES) return undefined;
  if (!Number.isSafeInteger(shape.plainBytes) || segmentCount(shape) > MAX_SEGMENTS) return undefined;
  return shape;
}

/**
 * The nonce of a segment: seven zero bytes, its index (u32, big-endian), 1 for the last one and 0 for all others. There is nothing random in it:
 * a key encrypts one text only.
 */
export function segmentNonce(index: number, last: boolean): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(7, index);
  nonce[11] = last ? 1 : 0;
  return nonce;
}
