import { expect, test } from 'vitest';
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
} from '../../src/formats/sealed-part.ts';

test.each([
  [0, 1],
  [1, 1],
  [SEGMENT_BYTES, 1],
  [SEGMENT_BYTES + 1, 2],
  [10 * SEGMENT_BYTES, 10],
])('%i bytes are %i segments', (plainBytes, segments) => {
  const shape = { segmentBytes: SEGMENT_BYTES, plainBytes };
  expect(segmentCount(shape)).toBe(segments);
  expect(sealedBytes(shape)).toBe(SEALED_HEADER_BYTES + plainBytes + segments * TAG_BYTES);
  const last = segmentAt(shape, segments - 1);
  expect(last.at + last.plainBytes + TAG_BYTES).toBe(sealedBytes(shape));
  expect(decodeSealedHeader(encodeSealedHeader(shape))).toEqual(shape);
});

test('no two segments of a part have one nonce, nor does the last one have that of any other', () => {
  const nonces = [0, 1, 255, 256, 2 ** 32 - 1].flatMap((index) => [
    segmentNonce(index, false),
    segmentNonce(index, true),
  ]);
  expect(new Set(nonces.map((nonce) => Buffer.from(nonce).toString('hex'))).size).toBe(nonces.length);
});

test('what is no header of ours is told from one', () => {
  const good = encodeSealedHeader({ segmentBytes: SEGMENT_BYTES, plainBytes: 5 });
  const changed = (at: number, value: number): Uint8Array =>
    Uint8Array.from(good, (byte, i) => (i === at ? value : byte));
  expect(decodeSealedHeader(good.subarray(0, 31))).toBeUndefined();
  expect(decodeSealedHeader(changed(15, 0x32))).toBeUndefined(); // v2
  expect(decodeSealedHeader(changed(23, 1))).toBeUndefined();
  expect(decodeSealedHeader(changed(16, 0xff))).toBeUndefined(); // segments of 4 GB
  expect(decodeSealedHeader(changed(24, 0xff))).toBeUndefined(); // longer than any file
});
