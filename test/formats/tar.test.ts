import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTar, tarEntries } from '../../agent/files/tar.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { parsePaxRecords, parseTarHeader } from '../../src/formats/tar.ts';
import { random } from '../streams/random.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tar-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function paths(file: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of tarEntries(file)) found.push(`${entry.kind} ${entry.path}`);
  return found.sort();
}

describe('entries of an archive that GNU tar made', () => {
  it('are found with long names, holes and data between them', async () => {
    const tree = join(dir, 'tree');
    mkdirSync(join(tree, 'd'.repeat(150), 'e'.repeat(150)), { recursive: true });
    writeFileSync(join(tree, 'd'.repeat(150), 'e'.repeat(150), 'ü'.repeat(100)), 'x'.repeat(5000));
    writeFileSync(join(tree, 'sparse'), '');
    truncateSync(join(tree, 'sparse'), 50 * 1024 * 1024);
    writeFileSync(join(tree, 'after'), 'y');
    for (const format of ['posix', 'gnu']) {
      const file = join(dir, `${format}.tar`);
      execFileSync('tar', ['-cf', file, `--format=${format}`, '--sparse', '-C', tree, '.']);
      expect(await paths(file)).toEqual(
        [
          'directory ',
          `directory ${'d'.repeat(150)}`,
          `directory ${'d'.repeat(150)}/${'e'.repeat(150)}`,
          'other after',
          `other ${'d'.repeat(150)}/${'e'.repeat(150)}/${'ü'.repeat(100)}`,
          'other sparse',
        ].sort(),
      );
    }
  });

  it('are none in an archive of an empty directory but its root', async () => {
    mkdirSync(join(dir, 'empty'));
    await createTar(join(dir, 'empty'), join(dir, 'empty.tar'));
    expect(await paths(join(dir, 'empty.tar'))).toEqual(['directory ']);
  });

  it('a cut archive is an error', async () => {
    const file = join(dir, 'cut.tar');
    execFileSync('tar', ['-cf', file, '-C', dir, 'empty']);
    truncateSync(file, 700);
    await expect(paths(file)).rejects.toMatchObject({ code: 'damaged' });
  });
});

describe('malformed headers', () => {
  it('yield an answer or a SwarmcutError', () => {
    const next = random(1);
    for (let round = 0; round < 2000; round++) {
      const block = Uint8Array.from({ length: 512 }, () => (next(3) === 0 ? next(256) : 0x30));
      for (const parse of [() => parseTarHeader(block), () => parsePaxRecords(block)]) {
        try {
          parse();
        } catch (error) {
          if (!(error instanceof SwarmcutError)) throw error;
        }
      }
    }
  });

  it.each(['x', '5', '0 a=b\n', '99 a=b\n', '6 abc\n', '-3 a=b\n'])('pax record %j is refused', (text) => {
    expect(() => parsePaxRecords(new TextEncoder().encode(text))).toThrow(SwarmcutError);
  });
});
