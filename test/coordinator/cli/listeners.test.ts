import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { jsonLines } from '../../../coordinator/cli/listeners/json-lines.ts';
import { fetchText } from '../../../coordinator/cli/listeners/live-rows.ts';
import { plainLines } from '../../../coordinator/cli/listeners/plain-lines.ts';
import { bytesText, durationText } from '../../../coordinator/cli/output/output.ts';
import { broadcast } from '../../../coordinator/operations/events/broadcast.ts';
import { logListener } from '../../../coordinator/operations/events/log.ts';
import { operate } from '../../../coordinator/operations/events/operate.ts';
import type { FetchProgress, OperationEvent } from '../../../coordinator/operations/index.ts';

function progress(task: string, bytesDone: number, bytesTotal: number): FetchProgress {
  return { kind: 'fetch-progress', task, node: 'n2', bytesDone, bytesTotal };
}

describe('plain lines', () => {
  test('one per finished step, with the time it took', () => {
    const lines: string[] = [];
    let now = 1000;
    const { handle } = plainLines(
      (line) => lines.push(line),
      () => now,
    );
    handle({ kind: 'operation-begun', title: 'snapshot of bank' });
    handle({ kind: 'step-begun', task: 'bank_a.1', step: 'freeze' });
    handle({ kind: 'step-begun', task: 'bank_b.1', step: 'freeze' });
    now += 14;
    handle({ kind: 'step-done', task: 'bank_a.1', step: 'freeze' });
    now += 1500;
    handle({ kind: 'step-failed', task: 'bank_b.1', step: 'freeze', reason: 'no such container' });
    handle({ kind: 'step-done', step: 'commit', detail: '2 tasks' });
    handle({ kind: 'information', message: 'node n2 is slow' });
    expect(lines).toEqual([
      '[  0.014 s] bank_a.1: freeze, 14 ms',
      '[  1.514 s] bank_b.1: freeze FAILED, 1.51 s: no such container',
      '[  1.514 s] commit (2 tasks)',
      '[  1.514 s] node n2 is slow',
    ]);
  });

  test('of a fetch: none of a short one, otherwise one every five seconds for all tasks together', () => {
    const lines: string[] = [];
    let now = 0;
    const { handle } = plainLines(
      (line) => lines.push(line),
      () => now,
    );
    handle({ kind: 'step-begun', task: 'bank_a.1', step: 'fetch' });
    handle({ kind: 'step-begun', task: 'bank_b.1', step: 'fetch' });
    for (; now < 11_000; now += 100) {
      handle(progress('bank_a.1', now * 1e5, 2e9));
      handle(progress('bank_b.1', now * 1e5, 2e9));
    }
    handle({ kind: 'step-done', task: 'bank_a.1', step: 'fetch' });
    handle({ kind: 'step-done', task: 'bank_b.1', step: 'fetch' });
    now += 10_000;
    handle(progress('bank_a.1', 2e9, 2e9));
    expect(lines).toEqual([
      '[  5.000 s] fetch: 24 %, 990 MB of 4.00 GB for 2 tasks',
      '[ 10.000 s] fetch: 49 %, 1.99 GB of 4.00 GB for 2 tasks',
      '[ 11.000 s] bank_a.1: fetch, 11.00 s',
      '[ 11.000 s] bank_b.1: fetch, 11.00 s',
    ]);
  });
});

test('a live row has a bar while its parts are fetched', () => {
  expect(fetchText(progress('bank_a.1', 1.2e9, 2.4e9))).toBe(
    'fetch [############------------]  50 %, 1.20 GB of 2.40 GB',
  );
  expect(fetchText(progress('bank_a.1', 0, 0))).toBe('fetch [########################] 100 %, 0 B of 0 B');
});

test('JSON lines are the events with their time', () => {
  const lines: string[] = [];
  const { handle } = jsonLines(
    (line) => lines.push(line),
    () => new Date(0),
  );
  handle(progress('bank_a.1', 1, 2));
  expect(lines).toEqual([
    '{"time":"1970-01-01T00:00:00.000Z","kind":"fetch-progress","task":"bank_a.1","node":"n2","bytesDone":1,"bytesTotal":2}',
  ]);
});

describe('listeners', () => {
  test('all hear everything; one that fails is told of once, and hears no more', () => {
    const heard: OperationEvent[] = [];
    const faults: string[] = [];
    const broken = {
      handle: () => {
        throw new Error('no terminal');
      },
    };
    const emit = broadcast([broken, { handle: (event) => heard.push(event) }], (message) => faults.push(message));
    emit({ kind: 'information', message: 'one' });
    emit({ kind: 'warning', message: 'two' });
    expect(heard).toHaveLength(2);
    expect(faults).toEqual(['no terminal']);
  });

  test('an operation begins and ends, also when it fails', async () => {
    const heard: OperationEvent[] = [];
    const emit = (event: OperationEvent): void => void heard.push(event);
    expect(await operate(emit, 'check', () => Promise.resolve(5))).toBe(5);
    await expect(operate(emit, 'check', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(heard).toEqual([
      { kind: 'operation-begun', title: 'check' },
      { kind: 'operation-ended', title: 'check' },
      { kind: 'operation-begun', title: 'check' },
      { kind: 'operation-ended', title: 'check', error: { code: 'internal', message: 'broken' } },
    ]);
  });

  test('the log has everything but the progress of fetches', () => {
    const stream = new PassThrough();
    const { handle } = logListener(pino({ level: 'debug', base: null, timestamp: false }, stream));
    handle({ kind: 'step-begun', task: 'bank_a.1', step: 'fetch' });
    handle(progress('bank_a.1', 1, 2));
    handle({ kind: 'step-failed', task: 'bank_a.1', step: 'fetch', reason: 'no space' });
    handle({ kind: 'warning', message: 'node n2 is slow' });
    const lines = String(stream.read()).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { level: 20, task: 'bank_a.1', step: 'fetch', msg: 'step begins' },
      { level: 40, task: 'bank_a.1', step: 'fetch', reason: 'no space', msg: 'step has failed' },
      { level: 40, msg: 'node n2 is slow' },
    ]);
  });
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [1_250_000, '1.25 MB'],
  [99_960_000, '100 MB'],
  [999_600_000, '1.00 GB'],
])('%d bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

test.each([
  [0.44, '0.4 ms'],
  [12, '12 ms'],
  [999.6, '1.00 s'],
  [59_999, '1 min 0 s'],
  [250_000, '4 min 10 s'],
])('%d ms are %s', (milliseconds, text) => {
  expect(durationText(milliseconds)).toBe(text);
});
