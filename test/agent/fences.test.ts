import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Fences } from '../../agent/fences.ts';

let run: string;
beforeEach(() => void (run = mkdtempSync(join(tmpdir(), 'swarmcut-fences-'))));
afterEach(() => rmSync(run, { recursive: true, force: true }));

const order = (token: number, stack = 'bank', cluster = 'swarm') => ({ stack, cluster, token });

test('a coordinator gives orders until another one has taken over, also after a restart of the agent', () => {
  const fences = new Fences({ run });
  fences.admit(order(5));
  fences.admit(order(5));
  fences.admit(order(9));
  expect(() => fences.admit(order(5))).toThrow(/another coordinator has taken over stack bank/);
  const restarted = new Fences({ run });
  expect(() => restarted.admit(order(8))).toThrow(/another coordinator/);
  restarted.admit(order(9));
});

test('stacks, and clusters that were made anew, have nothing to do with each other', () => {
  const fences = new Fences({ run });
  fences.admit(order(100));
  fences.admit(order(1, 'pair'));
  fences.admit(order(2, 'bank', 'another swarm'));
  expect(() => fences.admit(order(1, 'bank', 'another swarm'))).toThrow();
});

test('a file that cannot be read forbids nothing', () => {
  new Fences({ run }).admit(order(5));
  writeFileSync(join(run, 'fences', 'bank.json'), '{');
  new Fences({ run }).admit(order(1));
});
