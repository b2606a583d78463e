import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Expectations } from '../../../../agent/runtime/shim/expectations.ts';
import { shimFixture } from './fixture.ts';
import type { ShimFixture } from './fixture.ts';

let fixture: ShimFixture;
let expectations: Expectations;
const settings = (): Parameters<Expectations['open']>[0] => ({ runc: '/r', main: '/m', dataRoot: '/d' });
beforeEach(() => {
  fixture = shimFixture();
  expectations = new Expectations({ run: join(fixture.run, 'deep') });
  expectations.open(settings());
});
afterEach(() => fixture.remove());

it('belongs to root alone', () => {
  expectations.add('r1', 'a', ['a_b']);
  for (const folder of ['.', 'expect', 'moved', 'restored']) {
    expect(statSync(join(fixture.run, 'deep', folder)).mode & 0o777).toBe(0o700);
  }
  for (const file of ['shim.conf', 'expect/a_b']) {
    expect(statSync(join(fixture.run, 'deep', file)).mode & 0o777).toBe(0o600);
  }
});

it('adds all services of a restore or none, and removes only its own', () => {
  expectations.add('r1', 's', ['a', 'b']);
  expectations.add('r1', 's', ['a', 'b']);
  expect(() => expectations.add('r2', 's', ['c', 'b'])).toThrow(/b is already being restored \(restore r1\)/);
  expect([...expectations.list()]).toEqual([
    ['a', { restoreId: 'r1', stack: 's' }],
    ['b', { restoreId: 'r1', stack: 's' }],
  ]);
  expectations.add('r2', 't', ['c']);
  expectations.remove('r1');
  expectations.remove('unknown');
  expect([...expectations.list()]).toEqual([['c', { restoreId: 'r2', stack: 't' }]]);
  expect(expectations.restores()).toEqual([{ restoreId: 'r2', stack: 't' }]);
});

it('keeps at an agent’s start what its predecessor expected, and the marks of containers', () => {
  expectations.add('r1', 's', ['a']);
  expectations.markMoved('c1');
  expectations.markRestored('c2');
  const next = new Expectations({ run: join(fixture.run, 'deep') });
  next.open(settings());
  expect(next.expectedBy('a')).toBe('r1');
  expect([next.isMoved('c1'), next.isRestored('c2')]).toEqual([true, true]);
  next.prune(new Set(['c2']));
  expect([next.isMoved('c1'), next.isRestored('c2')]).toEqual([false, true]);
  expect(readdirSync(join(fixture.run, 'deep')).filter((name) => name.startsWith('.'))).toEqual([]);
});

it('takes no name that could lead out of its folder', () => {
  expect(() => expectations.add('r1', 's', ['../x'])).toThrow(/not a name/);
  expect(() => expectations.markMoved('.')).toThrow(/not a name/);
});
