import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { hexdump } from '../../../coordinator/cli/output/hexdump.ts';

const dump = (bytes: Uint8Array): string => [...hexdump(bytes)].join('\n');

describe('a hex dump', () => {
  test('offset, bytes, characters, length', () => {
    expect(dump(Buffer.from('GET / HTTP/1.1\r\nHost: \x00\xff~', 'latin1'))).toBe(
      [
        '00000000  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|',
        '00000010  48 6f 73 74 3a 20 00 ff  7e                       |Host: ..~|',
        '00000019',
      ].join('\n'),
    );
  });

  test('lines that repeat are left out, but not a shorter last one', () => {
    expect(dump(Buffer.alloc(72))).toBe(
      [
        '00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|',
        '*',
        '00000040  00 00 00 00 00 00 00 00                           |........|',
        '00000048',
      ].join('\n'),
    );
  });

  test('nothing is nothing', () => {
    expect(dump(new Uint8Array())).toBe('');
  });

  test.each([1, 8, 15, 16, 17, 31, 32, 33, 300])('as hexdump -C has it: %i bytes', async (length) => {
    const bytes = Buffer.from(Array.from({ length }, (_, index) => (index % 48 < 32 ? index : 0)));
    const known = await execa('hexdump', ['-C'], { input: bytes, reject: false });
    if (known.exitCode !== 0) return; // no such program here: the cases above have to do
    expect(dump(bytes)).toBe(known.stdout);
  });
});
