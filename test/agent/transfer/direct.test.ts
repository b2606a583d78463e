import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { PartStore } from '../../../agent/checkpoints/store/index.ts';
import {
  DirectWays,
  fetchParts,
  PartsListener,
  PeerAgents,
  serveFetch,
  Tickets,
} from '../../../agent/transfer/index.ts';
import type { FetchOptions } from '../../../agent/transfer/index.ts';
import { writeTrust } from '../../../src/rpc/identity/identity-files.ts';
import { createAgentServer, issueFetchTicket, LiveIdentity, SignatureCheck, Signer } from '../../../src/rpc/index.ts';
import type { AgentImplementation } from '../../../src/rpc/index.ts';
import { testAuthority } from '../../rpc/certificates.ts';
import type { TestAuthority } from '../../rpc/certificates.ts';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

const MIB = 1024 * 1024;

let authority: TestAuthority;
let signer: Signer;
let base: string;
const closers: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  authority = await testAuthority();
  signer = new Signer(await authority.coordinator());
});
afterAll(() => authority.remove());
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-direct-'));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(base, { recursive: true, force: true });
});

interface Node {
  readonly store: PartStore;
  readonly identity: LiveIdentity;
  readonly tickets: Tickets;
  readonly source: { node: string; address: string };
  /** Of the listener. */
  readonly port: number;
  /** Parts that were asked for by gRPC. */
  readonly byGrpc: string[];
}

/** A node as run.ts makes it. */
async function node(name: string): Promise<Node> {
  const store = new PartStore({ state: join(base, name, 'state'), run: join(base, name, 'run') });
  await store.open();
  const folder = await authority.agent(name);
  const identity = new LiveIdentity(folder);
  const tickets = new Tickets(new SignatureCheck(folder));
  const byGrpc: string[] = [];
  const implementation: Partial<AgentImplementation> = {
    fetch: (request, context) => {
      byGrpc.push(...request.sha256);
      return serveFetch(store, tickets, request, context);
    },
  };
  const credentials = identity.serverCredentials();
  const server = await createAgentServer(implementation as AgentImplementation, {
    host: '127.0.0.1',
    port: 0,
    credentials,
    revocations: identity.revocations,
  });
  const log = { warn: () => undefined, error: (...said: unknown[]) => expect(said).toEqual([]) };
  const listener = await PartsListener.open({ host: '127.0.0.1', port: 0, identity, store, tickets, log });
  closers.push(
    () => server.close(0),
    () => listener.close(),
  );
  const source = { node: name, address: `127.0.0.1:${server.port}` };
  return { store, identity, tickets, source, port: listener.port, byGrpc };
}

/** In memory, since nobody here needs what the disk does for each. */
async function put(store: PartStore, bytes: Uint8Array): Promise<{ sha256: string; sizeBytes: number }> {
  const path = join(base, `part-${Math.random()}`);
  writeFileSync(path, bytes);
  return store.adopt(path, { memory: true });
}

interface Fetched {
  readonly fetchedBytes: number;
  readonly remarks: string[];
}

async function fetch(
  to: Node,
  from: Node,
  { port = from.port, ...options }: Pick<FetchOptions, 'parts'> & Partial<FetchOptions> & { readonly port?: number },
): Promise<Fetched> {
  const peers = new PeerAgents(to.identity.clientCredentials());
  const direct = new DirectWays({ identity: to.identity, portOf: () => port });
  const remarks: string[] = [];
  const ticket = issueFetchTicket(signer, {
    restoreId: 'r1',
    node: to.source.node,
    sha256: options.parts.map(({ sha256 }) => sha256),
    expiresAtMs: Date.now() + 60_000,
  });
  try {
    const { fetchedBytes } = await fetchParts({
      store: to.store,
      sources: [from.source],
      memory: true,
      peers,
      direct,
      ticket,
      onSlowerWay: (text) => remarks.push(text),
      ...options,
    });
    return { fetchedBytes, remarks };
  } finally {
    peers.close();
    direct.close();
  }
}

/** Something that sits between two nodes. */
async function between(
  port: number,
  connected: (inside: Socket, outside: Socket, count: number) => void,
): Promise<number> {
  let count = 0;
  const server: Server = createServer((inside) => {
    const outside = connect({ host: '127.0.0.1', port });
    for (const [one, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => other.destroy());
    }
    inside.pipe(outside);
    connected(inside, outside, ++count);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

/** Nothing is left of what did not become a part. */
function expectNothingHalf(to: Node): void {
  for (const folder of ['state', 'run'])
    expect(readdirSync(join(base, to.source.node, folder, 'parts', 'incoming'))).toEqual([]);
}

test('parts of all sizes come the direct way, are checked, and progress is told', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const parts = [];
  for (const size of [0, 1, 5000, 256 * 1024, 3 * MIB + 7, 21 * MIB, 0, 9])
    parts.push(await put(from.store, randomBytes(size)));
  for (let n = 0; n < 150; n++) parts.push(await put(from.store, randomBytes(100 + n)));
  const progress: number[] = [];
  const total = [...new Map(parts.map(({ sha256, sizeBytes }) => [sha256, sizeBytes])).values()].reduce(
    (a, b) => a + b,
  );
  const { fetchedBytes, remarks } = await fetch(to, from, { parts, onProgress: (done) => progress.push(done) });
  expect(fetchedBytes).toBe(total);
  for (const { sha256 } of parts) expect(await to.store.verify(sha256)).toBeUndefined();
  expect(progress.at(-1)).toBe(total);
  expect(from.byGrpc).toEqual([]);
  expect(remarks).toEqual([]);
  expectNothingHalf(to);
});

test('a connection that is lost in the middle is made again, and goes on from where it was', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const parts = [await put(from.store, randomBytes(24 * MIB)), await put(from.store, randomBytes(100))];
  let sent = 0;
  const port = await between(from.port, (inside, outside, count) => {
    let passed = 0;
    outside.on('data', (bytes: Buffer) => {
      passed += bytes.length;
      sent += bytes.length;
      inside.write(bytes);
      // Each of the first three is cut after 6 MiB.
      if (count <= 3 && passed > 6 * MIB) inside.resetAndDestroy();
    });
  });
  const { remarks } = await fetch(to, from, { parts, port });
  for (const { sha256 } of parts) expect(await to.store.verify(sha256)).toBeUndefined();
  // What had come did not come again, but for what was under way at each cut.
  expect(sent).toBeLessThan(24 * MIB + 3 * 8 * MIB);
  expect(from.byGrpc).toEqual([]);
  expect(remarks).toEqual([]);
});

test('where the port is closed, parts come by gRPC, and that is said once', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as { port: number };
  closed.close();
  await once(closed, 'close');
  const parts = [await put(from.store, randomBytes(3 * MIB)), await put(from.store, randomBytes(2 * MIB))];
  const { remarks } = await fetch(to, from, { parts, port });
  for (const { sha256 } of parts) expect(await to.store.verify(sha256)).toBeUndefined();
  expect(from.byGrpc.sort()).toEqual(parts.map(({ sha256 }) => sha256).sort());
  expect(remarks).toEqual([expect.stringMatching(new RegExp(`node n1 come by gRPC.*port ${port}.*ECONNREFUSED`))]);
});

test('connections that were made beforehand are used; a port that was found closed is not tried again', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  let connections = 0;
  const port = await between(from.port, (inside, outside, count) => {
    connections = count;
    outside.pipe(inside);
  });
  const direct = new DirectWays({ identity: to.identity, portOf: () => port });
  closers.push(() => direct.close());
  await direct.warmUp(from.source, 2);
  await direct.warmUp(from.source, 2);
  expect(connections).toBe(2);
  const parts = [await put(from.store, randomBytes(3 * MIB)), await put(from.store, randomBytes(2 * MIB))];
  expect((await fetch(to, from, { parts, direct })).remarks).toEqual([]);
  expect(connections).toBe(2);
  const closed = new DirectWays({ identity: to.identity, portOf: () => 1 });
  closers.push(() => closed.close());
  await closed.warmUp(from.source, 2);
  const part = await put(from.store, randomBytes(10));
  expect((await fetch(to, from, { parts: [part], direct: closed })).remarks).toHaveLength(1);
});

test('a way that breaks without ever carrying a byte, or that always breaks, is left for gRPC', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  for (const after of [0, 1000]) {
    const part = await put(from.store, randomBytes(2 * MIB));
    const port = await between(from.port, (inside, outside) => {
      let passed = 0;
      outside.on('data', (bytes: Buffer) => {
        passed += bytes.length;
        if (passed > after + 5000) inside.resetAndDestroy();
        else inside.write(bytes);
      });
    });
    const { remarks } = await fetch(to, from, { parts: [part], port });
    expect(remarks).toHaveLength(1);
    expect(await to.store.verify(part.sha256)).toBeUndefined();
  }
});

test('a part that is damaged where it lies is not taken, and nothing of it is left', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  for (const size of [1000, 3 * MIB, 20 * MIB]) {
    const bytes = randomBytes(size);
    const part = await put(from.store, bytes);
    bytes[size - 1] = (bytes[size - 1] ?? 0) ^ 1;
    writeFileSync(await from.store.path(part.sha256), bytes);
    await expect(fetch(to, from, { parts: [part] })).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('another hash') as string,
    });
    expect(await to.store.has(part.sha256)).toBe(false);
    writeFileSync(await from.store.path(part.sha256), bytes.subarray(1));
    await expect(fetch(to, from, { parts: [part] })).rejects.toMatchObject({ code: 'damaged' });
    expectNothingHalf(to);
  }
});

test('bytes that are changed on the way do not get through', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const part = await put(from.store, randomBytes(4 * MIB));
  const port = await between(from.port, (inside, outside, count) => {
    let passed = 0;
    outside.on('data', (bytes: Buffer) => {
      passed += bytes.length;
      if (count === 1 && passed > MIB) bytes[0] = (bytes[0] ?? 0) ^ 1;
      inside.write(bytes);
    });
  });
  await fetch(to, from, { parts: [part], port });
  expect(await to.store.verify(part.sha256)).toBeUndefined();
});

test('a node that may not have a part gets nothing, and is told why', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const part = await put(from.store, randomBytes(10));
  const grant = { restoreId: 'r1', node: 'n2', sha256: [part.sha256], expiresAtMs: Date.now() + 60_000 };
  for (const ticket of [
    null,
    issueFetchTicket(signer, { ...grant, node: 'n3' }),
    issueFetchTicket(signer, { ...grant, sha256: [] }),
    issueFetchTicket(signer, { ...grant, expiresAtMs: Date.now() - 1 }),
  ]) {
    await expect(fetch(to, from, { parts: [part], ticket })).rejects.toMatchObject({
      code: 'precondition',
      message: expect.stringContaining('the agent of node n2 may not fetch this') as string,
    });
  }
  expect(from.byGrpc).toEqual([]);
  from.tickets.end('r1');
  await expect(fetch(to, from, { parts: [part] })).rejects.toMatchObject({ code: 'precondition' });
  expect(await to.store.has(part.sha256)).toBe(false);
});

test('a transfer ends when its restore is over, in the middle of a part', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const part = await put(from.store, randomBytes(64 * MIB));
  const fetched = fetch(to, from, {
    parts: [part],
    onProgress: (done) => {
      if (done > 0) from.tickets.end('r1');
    },
  });
  await expect(fetched).rejects.toMatchObject({ code: 'precondition' });
  expect(await to.store.has(part.sha256)).toBe(false);
  expectNothingHalf(to);
});

test('revocation: connections are ended, and new ones refused', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const part = await put(from.store, randomBytes(64 * MIB));
  const revoke = async (): Promise<void> => {
    const { serialNumber } = new X509Certificate(readFileSync(join(to.identity.folder, 'tls.crt')));
    const trusted = readFileSync(join(from.identity.folder, 'ca.crt'), 'utf8');
    await writeTrust(from.identity.folder, { trusted, retired: '', revoked: [serialNumber.toLowerCase()] });
    from.identity.reload();
  };
  let revoked: Promise<void> | undefined;
  const fetched = fetch(to, from, {
    parts: [part],
    onProgress: (done) => {
      if (done > 0) revoked ??= revoke();
    },
  });
  await expect(fetched).rejects.toMatchObject({
    code: 'precondition',
    message: expect.stringContaining('was revoked') as string,
  });
  expect(await to.store.has(part.sha256)).toBe(false);
});

test('strangers get nothing: another authority, no certificate, another name', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const part = await put(from.store, randomBytes(10));
  const other = await testAuthority();
  try {
    const stranger = { ...to, identity: new LiveIdentity(await other.agent('n2')) };
    // gRPC does not let it in either.
    await expect(fetch(stranger, from, { parts: [part] })).rejects.toMatchObject({ code: 'unreachable' });
    const impostor = { ...from, source: { ...from.source, node: 'n3' } };
    await expect(fetch(to, impostor, { parts: [part] })).rejects.toMatchObject({ code: 'unreachable' });
  } finally {
    other.remove();
  }
});

test('stops at the signal, and leaves nothing behind', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const part = await put(from.store, randomBytes(40 * MIB));
  const controller = new AbortController();
  const fetched = fetch(to, from, {
    parts: [part],
    signal: controller.signal,
    onProgress: (done) => {
      if (done > 0) controller.abort();
    },
  });
  await expect(fetched).rejects.toMatchObject({ code: 'interrupted' });
  expectNothingHalf(to);
});

test('nonsense on the port ends the connection, and nothing else', async () => {
  const [from, to] = [await node('n1'), await node('n2')];
  const plain = connect({ host: '127.0.0.1', port: from.port });
  plain.on('error', () => undefined);
  plain.write('GET / HTTP/1.1\r\n\r\n'.repeat(100));
  await once(plain, 'close');
  const part = await put(from.store, randomBytes(10));
  expect((await fetch(to, from, { parts: [part] })).remarks).toEqual([]);
});
