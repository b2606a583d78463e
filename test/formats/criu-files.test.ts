import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../src/formats/criu-image.ts';
import { decodeLinkRemaps } from '../../src/formats/criu-remaps.ts';
import { patchTimers } from '../../src/formats/criu-timers.ts';
import { image, message, regularFile, socketFile, STATE } from './image-builder.ts';

interface Timer {
  readonly ticks?: number;
  readonly leftNs?: number;
  readonly intervalNs?: number;
}

function timerFile({ ticks = 0, leftNs = 0, intervalNs = 0 }: Timer): Uint8Array {
  const timer = message([
    [1, 19],
    [4, 1],
    [5, ticks],
    [6, 0],
    [7, 0],
    [8, leftNs],
    [9, 0],
    [10, intervalNs],
  ]);
  return message([
    [1, 17],
    [2, 19],
    [12, timer],
  ]);
}

const OTHER = socketFile({ ino: 5, state: STATE.LISTEN, local: [[0, 0, 0, 0], 1], remote: [[0, 0, 0, 0], 0] });

describe('patchTimers', () => {
  it('arms a periodic timer that has expired, and leaves all else as it was', () => {
    const patched = patchTimers(image('files', [OTHER, timerFile({ ticks: 1, intervalNs: 100 }), OTHER]));
    const [before, file, after] = decodeImage('files', 'files.img', patched ?? new Uint8Array());
    expect([...(before?.bytes ?? [])]).toEqual([...OTHER]);
    expect([...(after?.bytes ?? [])]).toEqual([...OTHER]);
    expect([file?.number(1), file?.number(2)]).toEqual([17, 19]);
    const timer = file?.message(12);
    expect([1, 4, 5, 6, 7, 8, 9, 10].map((field) => timer?.number(field))).toEqual([19, 1, 1, 0, 0, 1, 0, 100]);
  });

  it.each<[string, Timer]>([
    ['one that is running', { intervalNs: 100, leftNs: 5 }],
    ['one that fires once', { ticks: 1 }],
    ['one that was never armed', {}],
  ])('has nothing to mend about %s', (_, timer) => {
    expect(patchTimers(image('files', [timerFile(timer), OTHER]))).toBeUndefined();
  });
});

describe('decodeLinkRemaps', () => {
  const remap = (originalId: number, remapId: number, type: number): Uint8Array =>
    message([
      [1, originalId],
      [2, remapId],
      [3, type],
    ]);
  const files = image('files', [
    regularFile(1, '/tmp/h1'),
    OTHER,
    regularFile(2, 'tmp/link_remap.14'),
    regularFile(3, './x'),
  ]);

  it('names the files that were linked for the dump, not ghosts', () => {
    const remaps = image('remap-fpath', [remap(1, 2, 0), remap(3, 9, 1)]);
    const images = new Map([
      ['files.img', files],
      ['remap-fpath.img', remaps],
    ]);
    expect(decodeLinkRemaps(images)).toEqual([{ name: 'tmp/h1', link: 'tmp/link_remap.14' }]);
  });

  it('are none without their image', () => {
    expect(decodeLinkRemaps(new Map([['files.img', files]]))).toEqual([]);
  });

  it('fails if a file is named that is not there', () => {
    const images = new Map([
      ['files.img', files],
      ['remap-fpath.img', image('remap-fpath', [remap(7, 2, 0)])],
    ]);
    expect(() => decodeLinkRemaps(images)).toThrow(/a file that is not there/);
  });
});
