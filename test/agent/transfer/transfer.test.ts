import { createHash, randomBytes } from 'node:crypto';
import {
  mkdtempSync,
  openSync,
  closeSync,
  ftruncateSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { PartStore } from '../../../agent/checkpoints/store/index.ts';
import { fetchParts, PeerAgents, serveFetch, Tickets } from '../../../agent/transfer/index.ts';
import type { FetchOptions } from '../../../agent/transfer/index.ts';
import {
  clientCredentials,
  createAgentServer,
  issueFetchTicket,
  serverCredentials,
  SignatureCheck,
  Signer,
} from '../../../src/rpc/index.ts';
import type { AgentImplementation, AgentServer } from '../../../src/rpc/index.ts';
import { testAuthority } from '../../rpc/certificates.ts';
import type { TestAuthority } from '../../rpc/certificates.ts';

const MIB = 1024 * 1024;

let authority: TestAuthority;
let signer: Signer;
const certificates: Record<string, string> = {};
let base: string;
const servers: AgentServer[] = [];

beforeAll(async () => {
  authority = await testAuthority();
  for (const node of ['n1', 'n2', 'n3']) certificates[node] = await authority.agent(node);
  signer = new Signer(await authority.coordinator());
});
afterAll(() => authority.remove());
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-transfer-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close(0);
  rmSync(base, { recursive: true, force: true });
});

interface Node {
  readonly store: PartStore;
  readonly source: { node: string; address: string };
  readonly requests: string[];
}

async function node(name: string, fetch?: AgentImplementation['fetch']): Promise<Node> {
  const store = new PartStore({ state: join(base, name, 'state'), run: join(base, name, 'run') });
  await store.open();
  const requests: string[] = [];
  const tickets = new Tickets(new SignatureCheck(certificates[name] ?? ''));
  const server = await createAgentServer(
    {
      fetch: (request, context) => {
        requests.push(...request.sha256);
        return (fetch ?? serveFetch.bind(undefined, store, tickets))(request, context);
      },
    } as Partial<AgentImplementation> as AgentImplementation,
    { host: '127.0.0.1', port: 0, credentials: serverCredentials(certificates[name] ?? '') },
  );
  servers.push(server);
  return { store, source: { node: name, address: `127.0.0.1:${server.port}` }, requests };
}

async function put(store: PartStore, bytes: Uint8Array): Promise<{ sha256: string; sizeBytes: number }> {
  const path = join(base, `part-${Math.random()}`);
  writeFileSync(path, bytes);
  return store.adopt(path);
}

async function fetch(
  target: Node,
  options: Pick<FetchOptions, 'parts' | 'sources'> & Partial<FetchOptions>,
): Promise<{ fetchedBytes: number }> {
  const peers = new PeerAgents(clientCredentials(certificates[target.source.node] ?? ''));
  try {
    const ticket = issueFetchTicket(signer, {
      restoreId: 'r1',
      node: target.source.node,
      sha256: options.parts.map(({ sha256 }) => sha256),
      expiresAtMs: Date.now() + 60_000,
    });
    return await fetchParts({ store: target.store, memory: false, peers, ticket, ...options });
  } finally {
    peers.close();
  }
}

it('fetches what is missing, checks it, and reports progress', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const parts = [];
  for (const size of [0, 1, 256 * 1024, 3 * MIB + 7]) parts.push(await put(from.store, randomBytes(size)));
  const here = randomBytes(1000);
  parts.push(await put(to.store, here));
  const progress: [number, number][] = [];
  const total = 1 + 256 * 1024 + 3 * MIB + 7 + 1000;
  const result = await fetch(to, {
    parts: [...parts, ...parts],
    sources: [from.source],
    onProgress: (done, of) => progress.push([done, of]),
  });
  expect(result.fetchedBytes).toBe(total - 1000);
  for (const { sha256 } of parts) expect(await to.store.verify(sha256)).toBeUndefined();
  expect(progress.at(-1)).toEqual([total, total]);
  expect(from.requests).toHaveLength(4);
  expect((await fetch(to, { parts, sources: [from.source] })).fetchedBytes).toBe(0);
});

it('gets nothing without a ticket, nor with one for another node or other parts', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const part = await put(from.store, randomBytes(10));
  const sources = [from.source];
  const grant = { restoreId: 'r1', node: 'n2', sha256: [part.sha256], expiresAtMs: Date.now() + 60_000 };
  for (const ticket of [
    null,
    issueFetchTicket(signer, { ...grant, node: 'n3' }),
    issueFetchTicket(signer, { ...grant, sha256: [] }),
    issueFetchTicket(signer, { ...grant, expiresAtMs: Date.now() - 1 }),
  ]) {
    await expect(fetch(to, { parts: [part], sources, ticket })).rejects.toMatchObject({
      code: 'precondition',
      message: expect.stringContaining('the agent of node n2 may not fetch this') as string,
    });
  }
  expect(await to.store.has(part.sha256)).toBe(false);
  await fetch(to, { parts: [part], sources, ticket: issueFetchTicket(signer, grant) });
  expect(await to.store.has(part.sha256)).toBe(true);
});

it('keeps parts in memory when told so, and pins them', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const part = await put(from.store, randomBytes(10));
  await fetch(to, { parts: [part], sources: [from.source], memory: true, owner: 'r1' });
  expect(await to.store.path(part.sha256)).toContain(join('n2', 'run', 'parts'));
  expect([...to.store.unpin('r1')]).toEqual([part.sha256]);
});

it('finds a part that leaves the memory of its node for the disk at that moment', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const bytes = randomBytes(1000);
  const part = await put(from.store, bytes);
  const path = join(base, 'in-memory');
  writeFileSync(path, bytes);
  await from.store.adopt(path, { memory: true });
  const find = from.store.find.bind(from.store);
  from.store.find = async (sha256) => {
    const found = await find(sha256);
    await from.store.leaveMemory(sha256);
    return found;
  };
  expect(await fetch(to, { parts: [part], sources: [from.source] })).toEqual({ fetchedBytes: 1000 });
});

it('goes to the next source when one is dead, lacks a part, or has a damaged one', async () => {
  const [dead, lacking, damaged, good] = [await node('n1'), await node('n1'), await node('n2'), await node('n3')];
  await servers[0]?.close(0);
  const target = await node('n1');
  const bytes = [randomBytes(2 * MIB), randomBytes(5)];
  const parts = [];
  for (const each of bytes) {
    parts.push(await put(good.store, each));
    const { sha256, sizeBytes } = await put(damaged.store, each);
    truncateSync(await damaged.store.path(sha256), 0);
    truncateSync(await damaged.store.path(sha256), sizeBytes);
  }
  let done = 0;
  await fetch(target, {
    parts,
    sources: [dead, lacking, damaged, good].map(({ source }) => source),
    onProgress: (bytesDone) => (done = bytesDone),
  });
  for (const { sha256 } of parts) expect(await target.store.verify(sha256)).toBeUndefined();
  expect(done).toBe(2 * MIB + 5);
  expect(readdirSync(join(base, 'n1', 'state', 'parts', 'incoming'))).toEqual([]);
  await expect(
    fetch(lacking, { parts: [{ sha256: '0'.repeat(64), sizeBytes: 1 }], sources: [damaged.source, good.source] }),
  ).rejects.toMatchObject({ code: 'damaged' });
  await expect(
    fetch(lacking, { parts: [{ sha256: '0'.repeat(64), sizeBytes: 1 }], sources: [dead.source] }),
  ).rejects.toMatchObject({ code: 'unreachable' });
  // It may be with the one that cannot be asked; where it was found damaged, that is what is told.
  const unknown = { sha256: '0'.repeat(64), sizeBytes: 1 };
  await expect(fetch(target, { parts: [unknown], sources: [dead.source, good.source] })).rejects.toMatchObject({
    code: 'unreachable',
    advice: expect.stringContaining('Bring the agent back') as string,
  });
  for (const { sha256 } of parts) await good.store.remove(sha256);
  await expect(fetch(good, { parts, sources: [dead.source, damaged.source] })).rejects.toMatchObject({
    code: 'damaged',
  });
  await expect(
    fetch(lacking, { parts: [{ sha256: '0'.repeat(64), sizeBytes: 1 }], sources: [] }),
  ).rejects.toMatchObject({ code: 'damaged' });
});

it('takes no more bytes than announced', async () => {
  const sha256 = '1'.repeat(64);
  const from = await node('n1', async function* () {
    for (let offset = 0; ; offset += MIB)
      yield await Promise.resolve({ sha256, offset, data: Buffer.alloc(MIB), last: false });
  });
  const to = await node('n2');
  await expect(fetch(to, { parts: [{ sha256, sizeBytes: 2 * MIB }], sources: [from.source] })).rejects.toThrow(
    /more than/,
  );
  expect((await to.store.list()).size).toBe(0);
});

it('stops at the signal, and leaves nothing behind', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const part = await put(from.store, randomBytes(20 * MIB));
  const controller = new AbortController();
  const fetched = fetch(to, {
    parts: [part],
    sources: [from.source],
    signal: controller.signal,
    onProgress: (done) => {
      if (done > 0) controller.abort();
    },
  });
  await expect(fetched).rejects.toMatchObject({ code: 'interrupted' });
  expect(readdirSync(join(base, 'n2', 'state', 'parts', 'incoming'))).toEqual([]);
  expect(await to.store.has(part.sha256)).toBe(false);
});

it('needs little memory, whatever the size', { timeout: 60_000 }, async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const big = (sizeBytes: number, mark: string): Promise<{ sha256: string; sizeBytes: number }> => {
    const path = join(base, `big-${mark}`);
    const file = openSync(path, 'w');
    writeSync(file, mark);
    ftruncateSync(file, sizeBytes);
    closeSync(file);
    return from.store.adopt(path);
  };
  // The first transfer fills caches and compiles code: it is not measured.
  await fetch(to, { parts: [await big(64 * MIB, 'warm')], sources: [from.source] });
  const part = await big(256 * MIB, 'measured');
  const before = process.memoryUsage.rss();
  let peak = before;
  await fetch(to, {
    parts: [part],
    sources: [from.source],
    onProgress: () => (peak = Math.max(peak, process.memoryUsage.rss())),
  });
  expect(createHash('sha256').update('').digest('hex')).not.toBe(part.sha256);
  // Sender and receiver together.
  expect((peak - before) / MIB).toBeLessThan(64);
});
