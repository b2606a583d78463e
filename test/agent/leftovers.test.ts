import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { forgetEnded, leadAgain } from '../../agent/leftovers.ts';
import { NetworkMemory } from '../../agent/network/network-memory.ts';
import { Expectations } from '../../agent/runtime/shim/expectations.ts';
import { createLogger } from '../../src/platform/logger.ts';

const log = createLogger({ program: 'agent', level: 'silent' });
const known = { aliases: [{ address: '10.0.1.5', network: 'bank' }], rewrites: [], former: [] };
const nothing = { aliases: [], rewrites: [], former: [] };

let run: string;
let memory: NetworkMemory;
let expectations: Expectations;

beforeEach(async () => {
  run = mkdtempSync(join(tmpdir(), 'leftovers-'));
  memory = new NetworkMemory(run);
  expectations = new Expectations({ run });
  for (const id of ['here', 'gone']) {
    await memory.remember(id, known);
    expectations.markMoved(id);
    expectations.markRestored(id);
  }
  for (const id of ['here', 'gone']) mkdirSync(join(run, 'at-start', id), { recursive: true });
  mkdirSync(join(run, 'deadman'));
  for (const id of ['here', 'gone']) writeFileSync(join(run, 'deadman', `${id}.log`), 'fired');
});

afterEach(() => rmSync(run, { recursive: true }));

it('forgets containers that ended while no agent and no shim were there', async () => {
  await forgetEnded({ ids: () => Promise.resolve(new Set(['here'])) }, { runDir: run, memory, expectations, log });
  expect([await memory.recall('here'), await memory.recall('gone')]).toEqual([known, nothing]);
  expect([expectations.isMoved('here'), expectations.isMoved('gone')]).toEqual([true, false]);
  expect([expectations.isRestored('here'), expectations.isRestored('gone')]).toEqual([true, false]);
  expect(readdirSync(join(run, 'deadman'))).toEqual(['here.log']);
  expect(readdirSync(join(run, 'at-start'))).toEqual(['here']);
});

it('forgets nothing when the engine does not say which containers there are', async () => {
  await forgetEnded({ ids: () => Promise.reject(new Error('no engine')) }, { runDir: run, memory, expectations, log });
  expect(await memory.recall('gone')).toEqual(known);
  expect(expectations.isMoved('gone')).toBe(true);
});

it('has nothing to do on a node that remembers nothing', async () => {
  const empty = join(run, 'empty');
  await forgetEnded(
    { ids: () => Promise.resolve(new Set()) },
    { runDir: empty, memory: new NetworkMemory(empty), expectations: new Expectations({ run: empty }), log },
  );
});

it('leads to former addresses again, whatever has become of other containers', async () => {
  const former = [{ address: '10.0.1.2', to: ['10.0.1.12'], from: '10.0.1.9', network: 'net', service: 's_a' }];
  const runs: Record<string, number> = { runs: 7, ended: 0 };
  for (const id of ['deleted', 'ended', 'runs']) await memory.remember(id, { ...known, former });
  const led: unknown[] = [];
  await leadAgain((id) => (id in runs ? Promise.resolve(runs[id] ?? 0) : Promise.reject(new Error('unknown'))), {
    memory,
    former: { lead: (...all) => Promise.resolve(void led.push(all)) },
    log,
  });
  expect(led).toEqual([['runs', '/proc/7/ns/net', former]]);
});
