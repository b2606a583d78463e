import { expect, test } from 'vitest';
import { FrameError, FrameReader, MAX_HEAD_BYTES, encodeHead } from '../../src/formats/part-frames.ts';

/** What comes of pieces of this size. */
function read(stream: Uint8Array, pieceBytes: number): { heads: unknown[]; bytes: number[][]; between: boolean } {
  const heads: unknown[] = [];
  const bytes: number[][] = [];
  const reader = new FrameReader({
    head: (head) => {
      heads.push(head);
      bytes.push([]);
      return (head as { length?: number }).length ?? 0;
    },
    bytes: (some) => void bytes.at(-1)?.push(...some),
  });
  for (let at = 0; at < stream.length; at += pieceBytes) reader.push(stream.subarray(at, at + pieceBytes));
  return { heads, bytes, between: reader.between };
}

function joined(...pieces: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}

const FRAMES = joined(
  encodeHead({ length: 5, text: 'ä' }),
  Uint8Array.of(1, 2, 3, 4, 5),
  encodeHead({ length: 0 }),
  encodeHead({ length: 1 }),
  Uint8Array.of(9),
);

test('frames are the same, in whatever pieces they come', () => {
  for (let pieceBytes = 1; pieceBytes <= FRAMES.length; pieceBytes++) {
    expect(read(FRAMES, pieceBytes)).toEqual({
      heads: [{ length: 5, text: 'ä' }, { length: 0 }, { length: 1 }],
      bytes: [[1, 2, 3, 4, 5], [], [9]],
      between: true,
    });
  }
});

test('a frame that is not whole is seen', () => {
  for (let end = 1; end < encodeHead({ length: 5 }).length + 5; end++)
    expect(read(joined(encodeHead({ length: 5 }), Uint8Array.of(1, 2, 3, 4, 5)).subarray(0, end), 3).between).toBe(
      false,
    );
});

test('nonsense is refused before memory is taken for it', () => {
  const announcing = (length: number): Uint8Array => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, length);
    return bytes;
  };
  for (const bad of [announcing(0), announcing(MAX_HEAD_BYTES + 1), announcing(2 ** 32 - 1)])
    expect(() => read(bad, 4)).toThrow(FrameError);
  expect(() => read(joined(announcing(2), Uint8Array.of(0xff, 0xfe)), 1)).toThrow(FrameError);
  expect(() => read(encodeHead({ length: -1 }), 1)).toThrow(FrameError);
  expect(() => read(encodeHead({ length: 0.5 }), 1)).toThrow(FrameError);
});
