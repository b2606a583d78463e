import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Ledger, PartStore } from '../../../agent/checkpoints/store/index.ts';
import { verifySnapshot as verifyOnNode } from '../../../agent/checkpoints/store/verify-snapshot.ts';
import { openState } from '../../../agent/restores/opened-state.ts';
import { restoreSnapshot, verifySnapshot, type CoordinatorContext } from '../../../coordinator/operations/index.ts';
import { rekeySnapshots } from '../../../coordinator/operations/rekey.ts';
import { FakeRaft, sharedBy } from './lock/fake-raft.ts';
import { openCatalogue } from '../../../coordinator/operations/session/catalogue.ts';
import { openEncryption } from '../../../coordinator/operations/session/encryption.ts';
import type { Manifest, TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { createAgentServer, serverCredentials } from '../../../src/rpc/index.ts';
import type { AgentImplementation, AgentServer } from '../../../src/rpc/index.ts';
import { partSealing } from '../../../src/storage/encryption/part-sealing.ts';
import { PartKeys } from '../../../src/storage/encryption/snapshot-key.ts';
import { image, message } from '../../formats/image-builder.ts';
import { testAuthority, type TestAuthority } from '../../rpc/certificates.ts';
import { manifestOf, taskOf } from '../../storage/manifest.ts';

const ID = '2rg8000000';
const SECRET = 'the password of the customer';
/** What the cluster says when a restore gets as far as to change something. */
const TOUCHED = 'the cluster would be touched now';

let authority: TestAuthority;
let identities: { coordinator: string; n1: string };
let base: string;
let server: AgentServer;
let store: PartStore;
let ledger: Ledger;
let ctx: CoordinatorContext;
let manifest: Manifest;
let told: string[];

beforeAll(async () => {
  authority = await testAuthority();
  identities = { coordinator: await authority.coordinator(), n1: await authority.agent('n1') };
});
afterAll(() => authority.remove());

beforeEach(async () => {
  base = mkdtempSync(join('/dev/shm', 'swarmcut-encrypted-'));
  const node = { state: join(base, 'n1/state'), run: join(base, 'n1/run') };
  store = new PartStore(node);
  await store.open();
  ledger = new Ledger(node, store);
  await ledger.open();
  const directories = { state: join(base, 'state'), run: join(base, 'run'), config: join(base, 'config') };
  mkdirSync(directories.config);
  cpSync(identities.coordinator, join(directories.config, 'coordinator'), { recursive: true });
  server = await agent();
  told = [];
  const nodes = [{ id: 'n1', hostname: 'n1', state: 'ready', agentAddress: `127.0.0.1:${server.port}` }];
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  ctx = {
    directories,
    signal: new AbortController().signal,
    log,
    emit: (event: { kind: string; message?: string }) => {
      if (event.kind === 'warning') told.push(event.message ?? '');
    },
    cluster: {
      ...sharedBy('n1', new FakeRaft()),
      nodes: () => Promise.resolve(nodes),
      stack: (name: string) => Promise.resolve({ name, services: [], tasks: [] }),
      remnants: () => Promise.resolve(0),
      ensureResources: () => Promise.reject(new SwarmcutError('conflict', TOUCHED)),
    },
  } as unknown as CoordinatorContext;
  keyFile('encrypt.key');
  await snapshot();
});
afterEach(async () => {
  await server.close(0);
  rmSync(base, { recursive: true, force: true });
});

/** An agent with a real store and ledger. */
function agent(): Promise<AgentServer> {
  const implementation: Partial<AgentImplementation> = {
    info: () => ({ node: 'n1', engine: '26.1.5', shimInstalled: true }),
    listSnapshots: () => ({ snapshots: ledger.list() }),
    recorded: ({ snapshotId }) => {
      const { stack, state, tasks } = ledger.get(snapshotId);
      return { stack, state, tasks: Object.values(tasks) };
    },
    verify: ({ snapshotId, snapshotKey }, { signal }) =>
      verifyOnNode(ledger.get(snapshotId), {
        store,
        keys: snapshotKey.length === 0 ? undefined : new PartKeys(snapshotKey),
        scratch: join(base, 'n1/run'),
        signal,
      }),
  };
  return createAgentServer(implementation as AgentImplementation, {
    host: '127.0.0.1',
    port: 0,
    credentials: serverCredentials(identities.n1),
  });
}

function keyFile(name: string, bytes = randomBytes(32)): string {
  const file = join(ctx.directories.config, 'coordinator', name);
  writeFileSync(file, bytes.toString('hex'));
  chmodSync(file, 0o600);
  return file;
}

/** What a round does with parts and keys, from the coordinator's key file to the node's store and back to the manifest. */
async function snapshot(): Promise<void> {
  const sealing = await openEncryption(ctx).begin(ID, 'bank', 'required');
  if (sealing === undefined) throw new Error('no key');
  const { snapshotKey, contentKey } = sealing.keys;
  const parts: TaskCheckpoint['parts'] = [];
  const contents: [TaskCheckpoint['parts'][number]['kind'], string, string | Uint8Array][] = [
    ['VOLUME', 'data', SECRET.repeat(20_000)],
    ['VOLUME', 'copy', SECRET.repeat(20_000)],
    ['CRIU', 'files.img', image('files', [])],
    [
      'CRIU',
      'pstree.img',
      image('pstree', [
        message([
          [1, 1],
          [2, 0],
          [3, 1],
          [4, 1],
          [5, [1]],
        ]),
      ]),
    ],
  ];
  for (const [kind, path, content] of contents) {
    const file = join(base, path);
    writeFileSync(file, content);
    const adopted = await store.adoptSealed(file, partSealing(snapshotKey, contentKey));
    parts.push({ kind, path, ...adopted });
  }
  const task = { ...taskOf('bank_a', '10.0.1.2', '10.0.1.3'), connections: [], parts };
  const { node: _, imageDigest: __, addresses: ___, ...checkpoint } = task;
  await ledger.begin(ID, 'bank');
  await ledger.record(ID, checkpoint);
  await ledger.setState(ID, 'permanent');
  manifest = manifestOf({
    schemaVersion: 2,
    encryption: { snapshotKey: sealing.snapshotKeyId },
    tasks: [task],
  });
  await openCatalogue(ctx.directories).write(manifest, sealing.wrapped);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile());
}

async function failureOf(work: Promise<unknown>): Promise<SwarmcutError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SwarmcutError) return error;
  throw new Error('it was not refused', { cause: error });
}

const stored = () => openCatalogue(ctx.directories).resolve(ID);

test('nothing of what was saved lies anywhere as it was, nor any key', async () => {
  const key = readFileSync(join(ctx.directories.config, 'coordinator/encrypt.key'), 'utf8');
  const snapshotKey = await openEncryption(ctx).open(manifest, openCatalogue(ctx.directories).wrappedKeyPath(ID));
  const secrets = [Buffer.from(SECRET), Buffer.from(key), Buffer.from(key, 'hex'), snapshotKey ?? Buffer.alloc(1)];
  const files = [...filesBelow(join(base, 'n1')), ...filesBelow(join(base, 'state'))];
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) for (const secret of secrets) expect(readFileSync(file).includes(secret), file).toBe(false);
});

test('equal parts are kept once', () => {
  const [task] = manifest.tasks;
  const volumes = task?.parts.filter(({ kind }) => kind === 'VOLUME') ?? [];
  expect(volumes.map(({ path }) => path)).toEqual(['data', 'copy']);
  expect(new Set(volumes.map(({ sha256 }) => sha256)).size).toBe(1);
});

test('verify opens everything with the key, and checks the hashes without', async () => {
  expect(await verifySnapshot(ctx, await stored())).toMatchObject({ ok: true, encryption: { opened: true } });
  rmSync(join(ctx.directories.config, 'coordinator/encrypt.key'));
  expect(await verifySnapshot(ctx, await stored())).toMatchObject({ ok: true, encryption: { opened: false } });
  keyFile('encrypt.key');
  expect(await verifySnapshot(ctx, await stored())).toMatchObject({ ok: true, encryption: { opened: false } });
  expect(told).toEqual([expect.stringContaining('and the key that is given is')]);
});

test('a part that was changed on its node is found without the key', async () => {
  rmSync(join(ctx.directories.config, 'coordinator/encrypt.key'));
  const sha256 = manifest.tasks[0]?.parts[0]?.sha256 ?? '';
  const path = await store.path(sha256);
  const bytes = readFileSync(path);
  bytes[1000] = (bytes[1000] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  const report = await verifySnapshot(ctx, await stored());
  expect(report.ok).toBe(false);
  expect(report.problems.join()).toContain('has another hash');
});

test('restore: goes on with the key; without it, and with another one, nothing is touched', async () => {
  expect(await failureOf(restoreSnapshot(ctx, await stored(), { to: [] }))).toMatchObject({ message: TOUCHED });
  const right = join(ctx.directories.config, 'coordinator/encrypt.key');
  const bytes = readFileSync(right, 'utf8');
  rmSync(right);
  const none = await failureOf(restoreSnapshot(ctx, await stored(), { to: [] }));
  expect(none).toMatchObject({ code: 'precondition', exitCode: 6 });
  expect(none.message).toMatch(
    /^snapshot 2rg8000000 is encrypted with key [0-9a-f]{16} \(a key file\), and no key is given$/,
  );
  keyFile('encrypt.key');
  const other = await failureOf(restoreSnapshot(ctx, await stored(), { to: [] }));
  expect(other.message).toMatch(/, and the key that is given is [0-9a-f]{16}$/);
  const named = keyFile('elsewhere', Buffer.from(bytes, 'hex'));
  ctx = { ...ctx, encryption: { keyFile: named } };
  expect(await failureOf(restoreSnapshot(ctx, await stored(), { to: [] }))).toMatchObject({ message: TOUCHED });
});

test('rekey: the new key opens it, the old one does not; parts and manifest are as they were; done again, it changes nothing', async () => {
  const before = filesBelow(base).filter((file) => !/key\.json$|coordinator\//.test(file));
  const contents = before.map((file) => readFileSync(file));
  const oldKey = keyFile(
    'old',
    Buffer.from(readFileSync(join(ctx.directories.config, 'coordinator/encrypt.key'), 'utf8'), 'hex'),
  );
  keyFile('encrypt.key');
  const options = { directories: ctx.directories, encryption: {}, old: { keyFile: oldKey } };
  const wrong = keyFile('wrong');
  const failed = await rekeySnapshots([ID], { ...options, old: { keyFile: wrong } });
  expect(failed).toMatchObject({ rewrapped: [], failed: [{ id: ID }] });
  expect(failed.failed[0]?.error.message).toContain('and the key that is given is');
  expect(await rekeySnapshots([ID], options)).toMatchObject({ rewrapped: [ID], unchanged: [], failed: [] });
  expect(await verifySnapshot(ctx, await stored())).toMatchObject({ ok: true, encryption: { opened: true } });
  expect(await rekeySnapshots([ID], options)).toMatchObject({ rewrapped: [], unchanged: [ID], failed: [] });
  ctx = { ...ctx, encryption: { keyFile: oldKey } };
  expect(await failureOf(restoreSnapshot(ctx, await stored(), { to: [] }))).toMatchObject({ code: 'precondition' });
  expect(before.map((file) => readFileSync(file))).toEqual(contents);
});

test('a label that requires encryption refuses a snapshot without a key', async () => {
  rmSync(join(ctx.directories.config, 'coordinator/encrypt.key'));
  const encryption = openEncryption(ctx);
  expect(await encryption.begin(ID, 'bank', 'optional')).toBeUndefined();
  await expect(encryption.begin(ID, 'bank', 'required')).rejects.toMatchObject({
    code: 'precondition',
    message: 'snapshots of bank must be encrypted, and no key is given',
  });
});

test('a node opens archives one after another, in memory, and nowhere else', async () => {
  const key = await openEncryption(ctx).open(manifest, openCatalogue(ctx.directories).wrappedKeyPath(ID));
  const parts = manifest.tasks[0]?.parts ?? [];
  const options = { store, keys: new PartKeys(key ?? Buffer.alloc(0)), signal: ctx.signal };
  const scratch = join(base, 'opened');
  const seen: number[] = [];
  for await (const { file } of openState(parts, { ...options, scratch }).files()) {
    expect(readFileSync(file, 'utf8')).toBe(SECRET.repeat(20_000));
    seen.push(readdirSync(scratch).length);
  }
  expect(seen).toEqual([1, 1]);
  expect(readdirSync(scratch)).toEqual([]);
  const onDisk = mkdtempSync(join(tmpdir(), 'swarmcut-disk-'));
  try {
    const files = openState(parts, { ...options, scratch: onDisk }).files();
    const opened = await files.next().then(
      () => 'opened',
      (error: unknown) => (error as Error).message,
    );
    // Where even /tmp lies in memory, that is fine, too.
    expect(['opened', 'encrypted parts are opened in memory only, and this folder is none']).toContain(opened);
  } finally {
    rmSync(onDisk, { recursive: true, force: true });
  }
});
