import { describe, expect, test } from 'vitest';
import {
  FRAME_HEAD_BYTES,
  FrameDecoder,
  FrameError,
  MAX_DATA_BYTES,
  endFrame,
  finFrame,
  markerFrame,
  parkFrame,
  resetFrame,
  unparkFrame,
  windowFrame,
  writeDataHead,
} from '../../src/streams/wire/frames.ts';
import type { FrameSink } from '../../src/streams/wire/frames.ts';

type Seen =
  { kind: 'data'; bytes: number[] } | { kind: 'marker' | 'park'; epoch: number; offset: number } | { kind: string };

/** Collects what comes; neighbouring pieces of data become one, for their borders mean nothing. */
class Collector implements FrameSink {
  readonly seen: Seen[] = [];
  /** Say "stop" after each event. */
  stop = false;

  data(bytes: Uint8Array): boolean {
    const last = this.seen.at(-1);
    if (last && 'bytes' in last) last.bytes.push(...bytes);
    else this.seen.push({ kind: 'data', bytes: [...bytes] });
    return !this.stop;
  }
  marker(epoch: number, offset: number): boolean {
    this.seen.push({ kind: 'marker', epoch, offset });
    return !this.stop;
  }
  fin(offset: number): boolean {
    this.seen.push({ kind: `fin ${offset}` });
    return !this.stop;
  }
  reset(): boolean {
    this.seen.push({ kind: 'reset' });
    return !this.stop;
  }
  park(epoch: number, offset: number): boolean {
    this.seen.push({ kind: 'park', epoch, offset });
    return !this.stop;
  }
  unpark(): boolean {
    this.seen.push({ kind: 'unpark' });
    return !this.stop;
  }
  window(offset: number): boolean {
    this.seen.push({ kind: `window ${offset}` });
    return !this.stop;
  }
  end(): boolean {
    this.seen.push({ kind: 'end' });
    return !this.stop;
  }
}

function data(...bytes: number[]): Uint8Array {
  const frame = new Uint8Array(FRAME_HEAD_BYTES + bytes.length);
  writeDataHead(frame, bytes.length);
  frame.set(bytes, FRAME_HEAD_BYTES);
  return frame;
}

function raw(type: number, length: number, body: readonly number[] = []): Uint8Array {
  return Uint8Array.from([type, length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255, ...body]);
}

const join = (...frames: Uint8Array[]): Uint8Array => Uint8Array.from(frames.flatMap((frame) => [...frame]));

const STREAM = join(
  data(1, 2, 3),
  markerFrame(7, 3),
  data(4),
  markerFrame(4_294_967_295, 2 ** 40 + 5),
  parkFrame(8, 4),
  unparkFrame(),
  finFrame(4),
  markerFrame(9, 4),
  parkFrame(10, 4),
  unparkFrame(),
  windowFrame(2 ** 41 + 1),
  endFrame(),
);
const MEANING: Seen[] = [
  { kind: 'data', bytes: [1, 2, 3] },
  { kind: 'marker', epoch: 7, offset: 3 },
  { kind: 'data', bytes: [4] },
  { kind: 'marker', epoch: 4_294_967_295, offset: 2 ** 40 + 5 },
  { kind: 'park', epoch: 8, offset: 4 },
  { kind: 'unpark' },
  { kind: 'fin 4' },
  { kind: 'marker', epoch: 9, offset: 4 },
  { kind: 'park', epoch: 10, offset: 4 },
  { kind: 'unpark' },
  { kind: `window ${2 ** 41 + 1}` },
  { kind: 'end' },
];

/** Small and seeded (mulberry32): a failing case can be run again. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

describe('frames', () => {
  test('come out as they went in, cut at every pair of places', () => {
    for (let first = 0; first <= STREAM.length; first++) {
      for (let second = first; second <= STREAM.length; second++) {
        const sink = new Collector();
        const decoder = new FrameDecoder(sink);
        for (const chunk of [STREAM.subarray(0, first), STREAM.subarray(first, second), STREAM.subarray(second)])
          expect(decoder.push(chunk)).toBe(chunk.length);
        expect(sink.seen).toEqual(MEANING);
        expect(decoder.atBoundary).toBe(true);
      }
    }
  });

  test('a reset may come behind FIN, or before it', () => {
    for (const frames of [join(finFrame(0), resetFrame()), resetFrame()]) {
      const sink = new Collector();
      new FrameDecoder(sink).push(frames);
      expect(sink.seen.at(-1)).toEqual({ kind: 'reset' });
    }
  });

  test('a sink that stops gets exactly one event per push, and nothing twice', () => {
    const sink = new Collector();
    sink.stop = true;
    const decoder = new FrameDecoder(sink);
    let at = 0;
    for (let pushes = 0; at < STREAM.length; pushes++) {
      at += decoder.push(STREAM.subarray(at));
      expect(sink.seen).toHaveLength(pushes + 1);
    }
    expect(sink.seen).toEqual(MEANING);
  });

  test('the largest frame passes and is handed on in the pieces it came in', () => {
    const frame = new Uint8Array(FRAME_HEAD_BYTES + MAX_DATA_BYTES);
    writeDataHead(frame, MAX_DATA_BYTES);
    let bytes = 0;
    let pieces = 0;
    const decoder = new FrameDecoder({
      data: (piece) => {
        bytes += piece.length;
        pieces += 1;
        return true;
      },
      marker: () => false,
      fin: () => false,
      reset: () => false,
      park: () => false,
      unpark: () => false,
      window: () => false,
      end: () => false,
    });
    for (let at = 0; at < frame.length; at += 65_536) decoder.push(frame.subarray(at, at + 65_536));
    expect([bytes, pieces]).toEqual([MAX_DATA_BYTES, 17]);
    expect(() => writeDataHead(frame, MAX_DATA_BYTES + 1)).toThrow(FrameError);
    expect(() => writeDataHead(frame, 0)).toThrow(FrameError);
  });

  test.each([
    ['an unknown type', raw(8, 0), 'type'],
    ['an empty DATA', raw(0, 0), 'length'],
    ['a DATA beyond the limit', raw(0, MAX_DATA_BYTES + 1), 'length'],
    ['a MARKER without a body', raw(1, 0), 'length'],
    ['a MARKER of 4 GiB', raw(1, 4_294_967_295), 'length'],
    ['a RST with a body', raw(3, 1), 'length'],
    ['a PARK without a body', raw(4, 0), 'length'],
    ['an UNPARK with a body', raw(5, 12), 'length'],
    ['a WINDOW of 4 bytes', raw(6, 4), 'length'],
    ['an offset beyond 2^53', raw(2, 8, [0, 32, 0, 0, 0, 0, 0, 1]), 'value'],
    ['an END with a body', join(finFrame(0), raw(7, 1)), 'length'],
    ['an END without FIN', endFrame(), 'order'],
    ['anything behind END', join(finFrame(0), endFrame(), windowFrame(1)), 'order'],
    ['DATA behind FIN', join(finFrame(0), data(1)), 'order'],
    ['a second FIN', join(finFrame(0), finFrame(0)), 'order'],
    ['anything behind RST', join(resetFrame(), markerFrame(1, 0)), 'order'],
  ])('%s is refused', (_name, bytes, code) => {
    const refused = (): number => new FrameDecoder(new Collector()).push(bytes);
    expect(refused).toThrow(FrameError);
    expect(refused).toThrow(expect.objectContaining({ code }) as Error);
  });

  test('noise and damaged streams give a FrameError or events, never anything else, and hold back little', () => {
    let refused = 0;
    for (let seed = 1; seed <= 3000; seed++) {
      const random = randomNumbers(seed);
      const bytes =
        seed % 3 === 0 ? Uint8Array.from({ length: 1 + random(200) }, () => random(256)) : Uint8Array.from(STREAM);
      for (let damages = seed % 3; damages > 0; damages--) bytes[random(bytes.length)] = random(256);
      const sink = new Collector();
      const decoder = new FrameDecoder(sink);
      try {
        for (let at = 0; at < bytes.length;) {
          const end = Math.min(bytes.length, at + 1 + random(9));
          at += decoder.push(bytes.subarray(at, end));
        }
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
        refused += 1;
      }
      const data = sink.seen.flatMap((event) => ('bytes' in event ? event.bytes : []));
      expect(data.length).toBeLessThanOrEqual(bytes.length);
    }
    expect(refused).toBeGreaterThan(1000);
  });
});
