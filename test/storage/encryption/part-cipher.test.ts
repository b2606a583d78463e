import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SEALED_HEADER_BYTES, SEGMENT_BYTES, TAG_BYTES } from '../../../src/formats/sealed-part.ts';
import { checkSealed, openSealed, sealFile } from '../../../src/storage/encryption/part-cipher.ts';

const KEY = Buffer.alloc(32, 7);
const STEP = SEGMENT_BYTES + TAG_BYTES;

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'swarmcut-sealed-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Encrypts some bytes; the file with what came of it. */
async function sealed(plain: Buffer, key = KEY): Promise<{ file: string; bytes: Buffer }> {
  const source = join(folder, `plain-${Math.random()}`);
  const file = join(folder, `sealed-${Math.random()}`);
  writeFileSync(source, plain);
  const pieces: Buffer[] = [];
  const { sha256, sizeBytes } = await sealFile(source, plain.length, key, (bytes) => {
    pieces.push(Buffer.from(bytes));
    return Promise.resolve();
  });
  const bytes = Buffer.concat(pieces);
  writeFileSync(file, bytes);
  expect(sizeBytes).toBe(bytes.length);
  expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
  return { file, bytes };
}

async function opened(file: string, key = KEY, range: { from?: number; length?: number } = {}): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of openSealed(file, key, range)) pieces.push(piece);
  return Buffer.concat(pieces);
}

test.each([0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES, 3 * SEGMENT_BYTES + 77])(
  '%i bytes come out as they went in, and do not show in between',
  async (size) => {
    const plain = randomBytes(size);
    const { file, bytes } = await sealed(plain);
    expect(await opened(file)).toEqual(plain);
    expect(await checkSealed(file, KEY)).toBe(size);
    if (size > 64) expect(bytes.includes(plain.subarray(0, 32))).toBe(false);
  },
);

test('equal bytes under one key are equal when encrypted, under another key they are not', async () => {
  const plain = randomBytes(1000);
  expect((await sealed(plain)).bytes).toEqual((await sealed(plain)).bytes);
  expect((await sealed(plain, randomBytes(32))).bytes).not.toEqual((await sealed(plain)).bytes);
});

test.each([
  [0, 10],
  [SEGMENT_BYTES - 5, 10],
  [2 * SEGMENT_BYTES, 1],
  [SEGMENT_BYTES, 2 * SEGMENT_BYTES],
  [3 * SEGMENT_BYTES + 70, 100],
])('a range from %i on, %i bytes', async (from, length) => {
  const plain = randomBytes(3 * SEGMENT_BYTES + 77);
  const { file } = await sealed(plain);
  expect(await opened(file, KEY, { from, length })).toEqual(plain.subarray(from, from + length));
});

describe('nothing of a part that was changed passes', () => {
  const [first, second, third] = [0, 1, 2].map((index) => SEALED_HEADER_BYTES + index * STEP) as [
    number,
    number,
    number,
  ];
  const changes: [string, (bytes: Buffer) => Buffer][] = [
    ['one bit', (bytes) => flip(bytes, second + 100)],
    ['one bit of a tag', (bytes) => flip(bytes, second - 1)],
    ['one bit of the length', (bytes) => flip(bytes, SEALED_HEADER_BYTES - 1)],
    ['the last segment left out', (bytes) => bytes.subarray(0, third)],
    ['the last bytes left out', (bytes) => bytes.subarray(0, -1)],
    ['bytes added', (bytes) => Buffer.concat([bytes, Buffer.alloc(20)])],
    [
      'two segments exchanged',
      (bytes) =>
        Buffer.concat([
          bytes.subarray(0, first),
          bytes.subarray(second, third),
          bytes.subarray(first, second),
          bytes.subarray(third),
        ]),
    ],
    [
      'a segment twice',
      (bytes) => Buffer.concat([bytes.subarray(0, second), bytes.subarray(first, second), bytes.subarray(third)]),
    ],
    [
      'cut off between two segments, with the length of what is left',
      (bytes) => {
        const shorter = Buffer.from(bytes.subarray(0, third));
        shorter.writeBigUInt64BE(BigInt(2 * SEGMENT_BYTES), 24);
        return shorter;
      },
    ],
  ];
  test.each(changes)('%s', async (_what, change) => {
    const { file, bytes } = await sealed(randomBytes(2 * SEGMENT_BYTES + 50));
    writeFileSync(file, change(Buffer.from(bytes)));
    await expect(opened(file)).rejects.toMatchObject({ code: 'damaged' });
  });

  test('another key', async () => {
    const { file } = await sealed(randomBytes(100));
    await expect(opened(file, randomBytes(32))).rejects.toThrow('segment 1 of 1 does not fit its key and place');
  });

  test('another file', async () => {
    const file = join(folder, 'other');
    writeFileSync(file, readFileSync(import.meta.filename));
    await expect(opened(file)).rejects.toThrow('not an encrypted part');
  });

  function flip(bytes: Buffer, at: number): Buffer {
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  }
});
