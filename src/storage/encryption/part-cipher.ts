import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import {
  SEALED_HEADER_BYTES,
  SEGMENT_BYTES,
  TAG_BYTES,
  decodeSealedHeader,
  encodeSealedHeader,
  sealedBytes,
  segmentAt,
  segmentCount,
  segmentNonce,
} from '../../formats/sealed-part.ts';
import type { SealedShape } from '../../formats/sealed-part.ts';
import { SwarmcutError } from '../../model/errors.ts';
import { didSome } from '../../platform/activity.ts';

const CIPHER = 'aes-256-gcm';

/** The encrypted form of a file, as it was written. */
export interface Sealed {
  /** Of the encrypted bytes: lower-case hex. */
  readonly sha256: string;
  /** Of the encrypted bytes. */
  readonly sizeBytes: number;
}

/**
 * Encrypts a file, segment by segment.
 * @param plainBytes its size; it must not change meanwhile
 * @param key 32 bytes; must never encrypt another text
 * @param write takes the encrypted bytes in order; they are overwritten when it has resolved
 * @throws SwarmcutError `failed` when the file is not as long as it should be
 */
export async function sealFile(
  file: string,
  plainBytes: number,
  key: Uint8Array,
  write: (bytes: Uint8Array) => Promise<void>,
  signal?: AbortSignal,
): Promise<Sealed> {
  const shape: SealedShape = { segmentBytes: SEGMENT_BYTES, plainBytes };
  const header = encodeSealedHeader(shape);
  const hash = createHash('sha256').update(header);
  await write(header);
  await using source = await open(file, 'r');
  const count = segmentCount(shape);
  const block = Buffer.allocUnsafe(Math.min(SEGMENT_BYTES, Math.max(1, plainBytes)) + TAG_BYTES);
  for (let index = 0; index < count; index++) {
    signal?.throwIfAborted();
    const { plainBytes: length } = segmentAt(shape, index);
    const plain = block.subarray(0, length);
    await readWhole(source, plain, index * SEGMENT_BYTES, file);
    const cipher = createCipheriv(CIPHER, key, segmentNonce(index, index === count - 1), { authTagLength: TAG_BYTES });
    cipher.setAAD(header);
    const text = cipher.update(plain);
    text.copy(block);
    cipher.final();
    cipher.getAuthTag().copy(block, length);
    const sealed = block.subarray(0, length + TAG_BYTES);
    hash.update(sealed);
    await write(sealed);
    didSome();
  }
  return { sha256: hash.digest('hex'), sizeBytes: sealedBytes(shape) };
}

/**
 * The plain text of an encrypted file, or a range of it, piece by piece. Nothing comes out that was not authenticated; but that the rest of it is sound is only
 * known at the end.
 * @param range in plain bytes; default: all
 * @throws SwarmcutError `damaged` saying which segment does not fit
 */
export async function* openSealed(
  file: string,
  key: Uint8Array,
  options: { readonly signal?: AbortSignal; readonly from?: number; readonly length?: number } = {},
): AsyncGenerator<Buffer, void, undefined> {
  await using source = await open(file, 'r');
  const header = Buffer.alloc(SEALED_HEADER_BYTES);
  await source.read(header, 0, header.length, 0);
  const shape = decodeSealedHeader(header);
  if (shape === undefined) throw damaged(file, 'it is not an encrypted part that this version can read');
  const { size } = await source.stat();
  if (size !== sealedBytes(shape)) throw damaged(file, `it has ${size} bytes instead of ${sealedBytes(shape)}`);
  const from = options.from ?? 0;
  const end = Math.min(shape.plainBytes, from + (options.length ?? shape.plainBytes));
  const count = segmentCount(shape);
  const first = Math.min(count - 1, Math.floor(from / shape.segmentBytes));
  for (let index = first; index < count; index++) {
    const start = index * shape.segmentBytes;
    if (index > first && start >= end) return;
    options.signal?.throwIfAborted();
    const { at, plainBytes } = segmentAt(shape, index);
    const sealed = Buffer.allocUnsafe(plainBytes + TAG_BYTES);
    await readWhole(source, sealed, at, file);
    const plain = openSegment(sealed, { key, header, index, last: index === count - 1 });
    if (plain === undefined) throw damaged(file, `segment ${index + 1} of ${count} does not fit its key and place`);
    didSome();
    yield plain.subarray(Math.max(0, from - start), Math.max(0, end - start));
  }
}

/** Reads an encrypted file to its end. @returns its plain size @throws SwarmcutError `damaged` */
export async function checkSealed(file: string, key: Uint8Array, signal?: AbortSignal): Promise<number> {
  let bytes = 0;
  for await (const plain of openSealed(file, key, signal === undefined ? {} : { signal })) bytes += plain.length;
  return bytes;
}

function openSegment(
  sealed: Buffer,
  { key, header, index, last }: { key: Uint8Array; header: Buffer; index: number; last: boolean },
): Buffer | undefined {
  const decipher = createDecipheriv(CIPHER, key, segmentNonce(index, last), { authTagLength: TAG_BYTES });
  decipher.setAAD(header);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plain = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
  try {
    decipher.final();
    return plain;
  } catch {
    return undefined;
  }
}

async function readWhole(source: FileHandle, target: Buffer, at: number, file: string): Promise<void> {
  for (let have = 0; have < target.length;) {
    const { bytesRead } = await source.read(target, have, target.length - have, at + have);
    if (bytesRead === 0) throw new SwarmcutError('failed', `${file} has become shorter`, { where: { file } });
    have += bytesRead;
  }
}

function damaged(file: string, why: string): SwarmcutError {
  return new SwarmcutError('damaged', `an encrypted part cannot be opened: ${why}`, { where: { file } });
}
