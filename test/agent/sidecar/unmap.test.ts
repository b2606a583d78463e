import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mappingsIn, unmapClean } from '../../../agent/sidecar/unmap.ts';

const EXAMPLE = `00400000-00e00000 r--p 00000000 fe:00 1234                               /usr/bin/with space/node
Size:              10240 kB
Rss:                4096 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
02a0b000-02a0c000 rw-p 0260a000 fe:00 1234                               /usr/bin/with space/node
Anonymous:             4 kB
7ffd1000-7ffd2000 rw-p 00000000 00:00 0
Anonymous:             8 kB
`;

test('mappings are read as the kernel writes them', () => {
  expect(mappingsIn(EXAMPLE)).toEqual([
    { start: 0x400000, end: 0xe00000, permissions: 'r--p', file: '/usr/bin/with space/node', anonymousKB: 0 },
    { start: 0x2a0b000, end: 0x2a0c000, permissions: 'rw-p', file: '/usr/bin/with space/node', anonymousKB: 4 },
    { start: 0x7ffd1000, end: 0x7ffd2000, permissions: 'rw-p', file: '', anonymousKB: 8 },
  ]);
});

test('a process goes on without the pages of its program, which come back as they are needed', () => {
  const programKB = (): number => {
    const text = readFileSync('/proc/self/status', 'utf8');
    return Number(/^RssFile:\s+(\d+)/m.exec(text)?.[1]);
  };
  const before = programKB();
  unmapClean(process.execPath);
  expect(programKB()).toBeLessThan(before);
  expect([3, 1, 2].sort().join()).toBe('1,2,3');
});
