import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { FollowingDump } from '../../../agent/checkpoints/following-dump.ts';
import { PartStore } from '../../../agent/checkpoints/store/index.ts';
import { writeCriuConfig } from '../../../agent/runtime/criu/config.ts';
import {
  DirectWays,
  LateParts,
  PartsListener,
  PeerAgents,
  Tickets,
  fetchParts,
} from '../../../agent/transfer/index.ts';
import { LiveIdentity, SignatureCheck, Signer, issueFetchTicket } from '../../../src/rpc/index.ts';
import { testAuthority } from '../../rpc/certificates.ts';
import { CriuHost } from './criu-host.ts';

let host: CriuHost;
beforeAll(async () => {
  host = await CriuHost.start();
}, 1_200_000);
afterAll(() => host.close());

const MEGABYTES = 120;

/** Two processes with memory of their own, and some that they share. */
const PROGRAM = `
import mmap, os, time
shared = mmap.mmap(-1, 8 << 20); shared.write(os.urandom(8 << 20))
own = bytearray(os.urandom(${MEGABYTES} << 20))
if os.fork() == 0: own[::4096] = b'x' * len(own[::4096])
print('ready', flush=True)
while True: time.sleep(1)
`;

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(file)) hash.update(bytes as Buffer);
  return hash.digest('hex');
}

test('the hashes that are made while CRIU writes are those of what it has written', async () => {
  const container = await host.container('big', ['python3', '-c', PROGRAM]);
  await container.start();
  await vi.waitFor(() => expect(container.lines.filter((line) => line === 'ready')).toHaveLength(2), 30_000);
  const [imagePath, workPath] = [join(container.bundle, 'criu'), join(container.bundle, 'dump')];
  for (const dir of [imagePath, workPath]) mkdirSync(dir);
  using following = new FollowingDump(imagePath);
  await host.runc.checkpoint(container.id, { imagePath, workPath });
  const followed = await following.ended();
  // Small ones are read again in no time.
  const big = readdirSync(imagePath).filter(
    (name) => name.startsWith('pages-') && statSync(join(imagePath, name)).size > 32 * 1024 * 1024,
  );
  expect(big).toHaveLength(2);
  expect([...followed.keys()]).toEqual(expect.arrayContaining(big));
  for (const [name, { sha256: hashed }] of followed) expect(await hashed).toBe(await sha256(join(imagePath, name)));
});

/** Counts, and shows whether its memory is what it was. */
const COUNTING = `
import os, time, zlib
own = bytearray(os.urandom(${MEGABYTES} << 20)); n = 0; first = zlib.crc32(own)
while True: n += 1; print(n, zlib.crc32(own) == first, flush=True); time.sleep(0.02)
`;

test('a task moves: dumped, hashed meanwhile, sent, and restored from what is still being looked at', async () => {
  const authority = await testAuthority();
  const [n1, n2] = [await authority.agent('n1'), await authority.agent('n2')];
  const stores = ['n1', 'n2'].map((node) => {
    const dir = join(host.dir, node);
    return new PartStore({ state: join(dir, 'state'), run: join(dir, 'run') });
  });
  const [from, to] = stores as [PartStore, PartStore];
  for (const store of stores) await store.open();
  const old = await host.container('from', ['python3', '-c', COUNTING]);
  await old.start();
  await vi.waitFor(() => expect(old.lines.length).toBeGreaterThan(3), 30_000);
  const [imagePath, workPath] = [join(old.bundle, 'criu'), join(old.bundle, 'dump')];
  for (const dir of [imagePath, workPath]) mkdirSync(dir);
  await host.runc.pause(old.id);
  using following = new FollowingDump(imagePath);
  await host.runc.checkpoint(old.id, { imagePath, workPath });
  const followed = await following.ended();
  const parts = [];
  for (const path of readdirSync(imagePath)) {
    const hashed = await followed.get(path)?.sha256;
    parts.push({ path, ...(await from.adopt(join(imagePath, path), { memory: true, sha256: hashed })) });
  }
  const tickets = new Tickets(new SignatureCheck(n1));
  const log = { warn: () => undefined, error: () => undefined };
  const at = { host: '127.0.0.1', port: 0 };
  const listener = await PartsListener.open({ ...at, identity: new LiveIdentity(n1), store: from, tickets, log });
  const identity = new LiveIdentity(n2);
  const direct = new DirectWays({ identity, portOf: () => listener.port });
  const peers = new PeerAgents(() => identity.clientCredentials());
  try {
    const late = new LateParts();
    const ticket = issueFetchTicket(new Signer(await authority.coordinator()), {
      restoreId: 'r1',
      node: 'n2',
      sha256: parts.map((part) => part.sha256),
      expiresAtMs: Date.now() + 60_000,
    });
    const sources = [{ node: 'n1', address: '127.0.0.1:1' }];
    const slower: string[] = [];
    const onSlowerWay = (text: string): void => void slower.push(text);
    await fetchParts({ parts, sources, ticket, store: to, memory: true, peers, direct, late, onSlowerWay });
    expect(slower).toEqual([]);
    const pages = parts.find(({ path, sizeBytes }) => path.startsWith('pages-') && sizeBytes > MEGABYTES << 20);
    expect(late.path(pages?.sha256 ?? '')).toBeDefined();
    const images = join(host.dir, 'n2', 'restore');
    await to.materialize(parts, images, (hash) => late.path(hash));
    const checked = late.settle();
    const config = join(host.dir, 'criu.conf');
    await writeCriuConfig(config);
    const copy = await host.container('to', ['python3', '-c', COUNTING]);
    await copy.restore(images, config);
    await checked;
    expect(await to.has(pages?.sha256 ?? '')).toBe(true);
    const last = Number(old.lines.at(-1)?.split(' ')[0]);
    await vi.waitFor(() => expect(copy.lines.length).toBeGreaterThan(3), 30_000);
    expect(copy.lines.slice(0, 3)).toEqual([1, 2, 3].map((more) => `${last + more} True`));
  } finally {
    direct.close();
    peers.close();
    await listener.close();
    authority.remove();
  }
});
