import { expect, test } from 'vitest';
import { excerpt, firstFew, visible, visibleJson, visibleLines } from '../../src/model/visible.ts';

test('what a terminal would obey is written out', () => {
  expect(visible('a\u001b[2Jb')).toBe('a\\x1b[2Jb');
  expect(visible('one\r\ntwo\u0000\u007f')).toBe('one\\x0d\\x0atwo\\x00\\x7f');
  expect(visible('\u009b31m')).toBe('\\x9b31m');
  expect(visible('\u202egnp.exe\u2066')).toBe('\\u202egnp.exe\\u2066');
  expect(visible('\ud800')).toBe('\\ud800');
});

test('all other text stays as it is', () => {
  for (const text of ['branch-a', 'Grüße → 日本語 👍', 'C:\\x1b']) expect(visible(text)).toBe(text);
});

test('lines stay lines where they may', () => {
  expect(visibleLines('a\n\tb\r\u001b]0;title\u0007')).toBe('a\n\tb\\x0d\\x1b]0;title\\x07');
});

test('JSON stays the same JSON', () => {
  const value = { text: '\u001b[31m \u007f \u009b \u2028 \u202e \n' };
  const shown = visibleJson(JSON.stringify(value, undefined, 2));
  expect(JSON.parse(shown)).toEqual(value);
  expect(shown).not.toMatch(/[\u007f-\u009f\u2028\u202e]/);
});

test('an excerpt has an end', () => {
  expect(excerpt('x'.repeat(81))).toBe(`${'x'.repeat(80)}…`);
  expect(excerpt('\u001b')).toBe('\\x1b');
});

test('of a long list a message names the first few, and says how many more there are', () => {
  const names = Array.from({ length: 500 }, (_, index) => `c${index}`);
  expect(firstFew(names)).toBe('c0, c1, c2, c3, c4 and 495 more');
  expect(firstFew(names.slice(0, 3), { separator: '; ', most: 2 })).toBe('c0; c1 and 1 more');
  expect(firstFew([])).toBe('');
});
