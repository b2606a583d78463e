import { expect, test } from 'vitest';
import { ByteQueue } from '../../../agent/sidecar/sockets/byte-queue.ts';

/** Takes everything out, `most` bytes at a time. */
function drain(queue: ByteQueue, most: number): Buffer {
  const parts: Buffer[] = [];
  for (let first = queue.first; first; first = queue.first) {
    const part = Buffer.from(first.subarray(0, most));
    parts.push(part);
    queue.drop(part.length);
  }
  return Buffer.concat(parts);
}

function numbered(length: number, from: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, at) => (from + at * 7) & 255));
}

test('gives back what it was given, in order, in pieces of any size', () => {
  const sizes = [1, 0, 8191, 8192, 65_536, 65_537, 200_000, 3];
  const all = Buffer.concat(sizes.map((size, at) => numbered(size, at)));
  for (const most of [1000, 65_536, 1_000_000]) {
    const queue = new ByteQueue();
    sizes.forEach((size, at) => queue.push(numbered(size, at)));
    expect(queue.length).toBe(all.length);
    expect(queue.toBuffer().equals(all)).toBe(true);
    expect(drain(queue, most).equals(all)).toBe(true);
    expect(queue.length).toBe(0);
  }
});

test('memory that is used again belongs to one queue only', () => {
  const [one, other] = [new ByteQueue(), new ByteQueue()];
  one.push(numbered(100_000, 1));
  one.clear();
  one.push(numbered(100_000, 2));
  other.push(numbered(100_000, 3));
  expect(one.toBuffer().equals(numbered(100_000, 2))).toBe(true);
  expect(other.toBuffer().equals(numbered(100_000, 3))).toBe(true);
});

test('what was pushed may change afterwards', () => {
  const queue = new ByteQueue();
  const bytes = Buffer.alloc(100_000, 1);
  queue.push(bytes);
  bytes.fill(2);
  expect(queue.toBuffer().equals(Buffer.alloc(100_000, 1))).toBe(true);
});
