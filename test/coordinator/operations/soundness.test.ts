import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, cpSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  attachSidecars,
  detachSidecars,
  migrate,
  restoreSnapshot,
  sidecarsOf,
  takeSnapshot,
  verifySnapshot,
  type CoordinatorContext,
} from '../../../coordinator/operations/index.ts';
import { FakeRaft, sharedBy } from './lock/fake-raft.ts';
import { openCatalogue } from '../../../coordinator/operations/session/catalogue.ts';
import type { ManifestTask } from '../../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import {
  createAgentServer,
  serverCredentials,
  type AgentImplementation,
  type AgentServer,
} from '../../../src/rpc/index.ts';
import type { Catalogue } from '../../../src/storage/catalogue.ts';
import { testAuthority, type TestAuthority } from '../../rpc/certificates.ts';
import { manifestOf, taskOf } from '../../storage/manifest.ts';

const A = taskOf('bank_a', '10.0.1.2', '10.0.1.3');
// A connection out of the stack: what matters here are not the channels.
const TASKS: ManifestTask[] = [
  { ...A, connections: [] },
  { ...taskOf('bank_b', '10.0.1.3', '10.0.1.9'), connections: [], node: 'n2' },
];
const MANIFEST = manifestOf({ tasks: TASKS });
const { id: ID } = MANIFEST;
/** What the cluster says when a restore gets as far as to change something. */
const TOUCHED = 'the cluster would be touched now';

let authority: TestAuthority;
let coordinator: string;
const folders: Record<string, string> = {};
const servers: AgentServer[] = [];
let base: string;
let catalogue: Catalogue;
let ctx: CoordinatorContext;
let told: string[];
let logged: string[];

beforeAll(async () => {
  authority = await testAuthority();
  coordinator = await authority.coordinator();
  for (const node of ['n1', 'n2', 'n3']) folders[node] = await authority.agent(node);
});
afterAll(() => authority.remove());

/** An agent that has recorded these tasks, and whose parts are sound. */
async function agent(node: string): Promise<{ id: string; hostname: string; state: string; agentAddress: string }> {
  const tasks = TASKS.filter((task) => task.node === node);
  const nothing = tasks.length === 0;
  const implementation: Partial<AgentImplementation> = {
    info: () => ({ node, engine: '26.1.5', shimInstalled: true }),
    listSnapshots: () => ({
      snapshots: nothing ? [] : [{ snapshotId: ID, stack: 'bank', state: 'permanent', tasks: tasks.length }],
    }),
    recorded: () => (nothing ? {} : { stack: 'bank', state: 'permanent', tasks }),
    verify: () => ({ problems: [], tasks, verifiedBytes: 1 }),
  };
  const server = await createAgentServer(implementation as AgentImplementation, {
    host: '127.0.0.1',
    port: 0,
    credentials: serverCredentials(folders[node] ?? ''),
  });
  servers.push(server);
  return { id: node, hostname: node, state: 'ready', agentAddress: `127.0.0.1:${server.port}` };
}

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-soundness-'));
  const directories = { state: join(base, 'state'), run: join(base, 'run'), config: join(base, 'config') };
  mkdirSync(directories.config);
  cpSync(coordinator, join(directories.config, 'coordinator'), { recursive: true });
  const nodes = [await agent('n1'), await agent('n2'), await agent('n3')];
  [told, logged] = [[], []];
  ctx = {
    directories,
    signal: new AbortController().signal,
    log: {
      debug: () => undefined,
      info: () => undefined,
      warn: (_: unknown, message: string) => logged.push(message),
      error: () => undefined,
    },
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
  catalogue = openCatalogue(directories);
  await catalogue.write(MANIFEST);
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close(0);
  rmSync(base, { recursive: true, force: true });
});

type Edit = (manifest: { schemaVersion: number; stack: string; tasks: ManifestTask[] }) => void;

function edit(change: Edit): void {
  const file = catalogue.manifestPath(ID);
  const value = JSON.parse(readFileSync(file, 'utf8')) as Parameters<Edit>[0];
  change(value);
  writeFileSync(file, JSON.stringify(value));
}

function signature(): string {
  return join(dirname(catalogue.manifestPath(ID)), 'manifest.sig.json');
}

async function failureOf(work: () => Promise<unknown>): Promise<SwarmcutError> {
  const error = await work().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SwarmcutError) return error;
  throw new Error('it was not refused', { cause: error });
}

async function restore(allowUnsigned: boolean): Promise<unknown> {
  return restoreSnapshot(ctx, await catalogue.resolve(ID), { to: [], allowUnsigned });
}

/** Exit code, and what is said. */
async function verify(allowUnsigned: boolean): Promise<{ exitCode: number; text: string }> {
  try {
    const report = await verifySnapshot(ctx, await catalogue.resolve(ID), { allowUnsigned });
    return { exitCode: report.ok ? 0 : 7, text: report.problems.join('\n') };
  } catch (error) {
    if (error instanceof SwarmcutError) return { exitCode: error.exitCode, text: error.message };
    throw error;
  }
}

test('as it was written: sound, and a restore goes on', async () => {
  expect(await verify(false)).toEqual({ exitCode: 0, text: '' });
  expect(await failureOf(() => restore(false))).toMatchObject({ message: TOUCHED });
  expect(told).toEqual([]);
});

function first(tasks: ManifestTask[]): ManifestTask {
  const [task] = tasks;
  if (task === undefined) throw new Error('fixture');
  return task;
}

function setPart(changes: Partial<ManifestTask['parts'][number]>): Edit {
  return ({ tasks }) => {
    for (const part of first(tasks).parts) Object.assign(part, changes);
  };
}

const NOT_SIGNED = 'the signature does not match';

describe.each<[string, Edit, { signed: string; unsigned: string; where?: object }]>([
  [
    'a hash',
    setPart({ sha256: 'b'.repeat(64) }),
    {
      signed: NOT_SIGNED,
      unsigned: 'bank_a.1 on n1, part pages-1.img: its hash is bbbb',
      where: { node: 'n1', service: 'bank_a', slot: '1' },
    },
  ],
  ['a size', setPart({ sizeBytes: 1 }), { signed: NOT_SIGNED, unsigned: 'part pages-1.img: it has 1 bytes' }],
  [
    'a node',
    ({ tasks }) => void (first(tasks).node = 'n3'),
    { signed: NOT_SIGNED, unsigned: 'the node no longer has anything' },
  ],
  [
    'a task left out',
    ({ tasks }) => void tasks.pop(),
    { signed: NOT_SIGNED, unsigned: 'bank_b.1 on n2: the node has recorded this task', where: { node: 'n2' } },
  ],
  [
    'a task twice',
    ({ tasks }) => void tasks.push(first(tasks)),
    { signed: 'task bank_a.1 is there twice', unsigned: 'task bank_a.1 is there twice' },
  ],
  [
    'tasks: []',
    (manifest) => void (manifest.tasks = []),
    { signed: 'at least one task', unsigned: 'at least one task' },
  ],
  [
    'another schema version',
    (manifest) => void (manifest.schemaVersion = 3),
    {
      signed: 'is written in schema version 3; this swarmcut reads schema versions 1 and 2 only',
      unsigned: 'is written in schema version 3; this swarmcut reads schema versions 1 and 2 only',
    },
  ],
  [
    'an empty stack',
    (manifest) => void (manifest.stack = ''),
    { signed: 'field stack: is not the name', unsigned: 'field stack: is not the name' },
  ],
  [
    'another stack',
    (manifest) => void (manifest.stack = 'shop'),
    { signed: NOT_SIGNED, unsigned: 'recorded as a snapshot of stack bank, not of shop' },
  ],
  [
    'an unknown field',
    ({ tasks }) => void Object.assign(first(tasks), { runAs: 'root' }),
    { signed: 'field tasks.0.runAs', unsigned: 'field tasks.0.runAs' },
  ],
])('edited on disk: %s', (_, change, expected) => {
  test('verify: 7', async () => {
    edit(change);
    const { exitCode, text } = await verify(false);
    expect(exitCode).toBe(7);
    expect(text).toContain(expected.signed);
    const allowed = await verify(true);
    expect(allowed.exitCode).toBe(7);
    expect(allowed.text).toContain(expected.unsigned);
  });

  test('restore: 7, and nothing is touched, also with --allow-unsigned', async () => {
    edit(change);
    const refused = await failureOf(() => restore(false));
    expect(refused).toMatchObject({ code: 'damaged', exitCode: 7 });
    expect(refused.message).toContain(expected.signed);
    const allowed = await failureOf(() => restore(true));
    expect(allowed).toMatchObject({ exitCode: 7, ...(expected.where === undefined ? {} : { where: expected.where }) });
    expect(allowed.message).toContain(expected.unsigned);
  });
});

describe.each<[string, () => void, string]>([
  ['taken away', () => rmSync(signature()), 'its manifest is unsigned'],
  ['cut', () => writeFileSync(signature(), readFileSync(signature(), 'utf8').slice(0, 200)), 'cannot be read'],
  [
    'changed',
    () => {
      const value = JSON.parse(readFileSync(signature(), 'utf8')) as { signature: string };
      writeFileSync(signature(), JSON.stringify({ ...value, signature: value.signature.slice(0, -8) }));
    },
    NOT_SIGNED,
  ],
  ['not to be checked here', () => rmSync(join(ctx.directories.config, 'coordinator', 'ca.crt')), 'cannot be checked'],
])('the signature is %s', (what, damage, text) => {
  test('verify and restore say so: 7', async () => {
    damage();
    catalogue = openCatalogue(ctx.directories);
    // Without the authority, agents cannot be asked either.
    if (what !== 'not to be checked here') expect(await verify(false)).toMatchObject({ exitCode: 7 });
    const { vouching } = await catalogue.resolve(ID);
    expect(vouching.state).not.toBe('signed');
    const refused = await failureOf(() => restore(false));
    expect(refused).toMatchObject({ exitCode: 7, advice: expect.stringContaining('--allow-unsigned') as string });
    expect(refused.message).toContain(text);
  });
});

test('an unsigned manifest that the ledgers bear out is used with --allow-unsigned only, which is told and logged', async () => {
  rmSync(signature());
  expect((await verify(false)).text).toBe('its manifest is unsigned: `restore` refuses it without --allow-unsigned');
  expect(await verify(true)).toEqual({ exitCode: 0, text: '' });
  expect(told).toEqual([`snapshot ${ID}: its manifest is unsigned`]);
  expect(await failureOf(() => restore(true))).toMatchObject({ message: TOUCHED });
  expect(told.at(-1)).toBe(`snapshot ${ID}: its manifest is unsigned; used all the same, as --allow-unsigned says`);
  expect(logged).toContain('an unsigned manifest is used, as asked for by --allow-unsigned');
});

test('a signed manifest is worth nothing under another id', async () => {
  const other = '2rh1000000';
  cpSync(dirname(catalogue.manifestPath(ID)), dirname(catalogue.manifestPath(other)), { recursive: true });
  await expect(catalogue.resolve(other)).rejects.toMatchObject({ code: 'damaged' });
});

// Swarm takes an empty name for all services.
describe.each(['', ' ', '../bank'])('a stack named %j', (name) => {
  test.each<[string, () => Promise<unknown>]>([
    ['snapshot', () => takeSnapshot(ctx, name, {})],
    ['migrate', () => migrate(ctx, name, {})],
    ['attach', () => attachSidecars(ctx, name)],
    ['attach --status', () => sidecarsOf(ctx, name)],
    ['detach', () => detachSidecars(ctx, name, {})],
    ['latest:', () => catalogue.resolve(`latest:${name}`)],
  ])('is refused by %s', async (_, work) => {
    expect(await failureOf(work)).toMatchObject({ code: 'usage', exitCode: 2 });
  });
});
