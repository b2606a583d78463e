import { createServer, type Server, type ServerResponse } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { EngineWatch } from '../../../../agent/runtime/docker/engine-watch.ts';

const PATIENCE = { timeout: 10_000, interval: 5 };

let dir: string;
let watch: EngineWatch | undefined;
let server: Server | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'engine-watch-'));
});
afterEach(() => {
  watch?.close();
  stop();
  rmSync(dir, { recursive: true });
});

/** An engine that has events, or accepts calls and does not answer: it loads its containers. */
async function start(loaded: boolean): Promise<ServerResponse[]> {
  const calls: ServerResponse[] = [];
  const made = createServer((request, response) => {
    if (request.url?.endsWith('/_ping') === true) return response.end('OK');
    calls.push(response);
    if (loaded) response.writeHead(200).flushHeaders();
    return undefined;
  });
  server = made;
  await new Promise<void>((resolve) => made.listen(join(dir, 'socket'), resolve));
  return calls;
}

function stop(): void {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
}

function watching(): boolean[] {
  const told: boolean[] = [];
  watch = new EngineWatch({
    engine: new Docker({ socketPath: join(dir, 'socket') }),
    changed: (there) => void told.push(there),
  });
  return told;
}

it('tells at once when the engine ends, and when it answers again, not only listens', async () => {
  const first = await start(true);
  const told = watching();
  await vi.waitUntil(() => first.length === 1, PATIENCE);
  stop();
  await vi.waitUntil(() => told.length === 1, PATIENCE);
  expect(told).toEqual([false]);
  const loading = await start(false);
  await vi.waitUntil(() => loading.length === 1, PATIENCE);
  expect(told).toEqual([false]);
  loading[0]?.writeHead(200).flushHeaders();
  await vi.waitUntil(() => told.length === 2, PATIENCE);
  expect(told).toEqual([false, true]);
});

it('tells of an engine that is about to end: it takes no new calls, though its streams are still there', async () => {
  const calls = await start(true);
  const told = watching();
  await vi.waitUntil(() => calls.length === 1, PATIENCE);
  server?.close();
  rmSync(join(dir, 'socket'), { force: true });
  await vi.waitUntil(() => told.length === 1, PATIENCE);
  expect(told).toEqual([false]);
  expect(calls[0]?.writable).toBe(true);
});

it('tells once of an engine that stays away, and nothing when it is closed itself', async () => {
  const told = watching();
  await vi.waitUntil(() => told.length === 1, PATIENCE);
  const calls = await start(true);
  await vi.waitUntil(() => told.length === 2, PATIENCE);
  watch?.close();
  await vi.waitUntil(() => calls[0]?.destroyed === true, PATIENCE);
  expect(told).toEqual([false, true]);
});
