import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpSync, mkdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { gatherSnapshots, shareManifests } from '../../../../coordinator/operations/index.ts';
import { openCatalogue } from '../../../../coordinator/operations/session/catalogue.ts';
import { signRemoval } from '../../../../coordinator/operations/session/removals.ts';
import type { ClusterNode } from '../../../../coordinator/orchestrator/index.ts';
import { createAgentServer, serverCredentials, type AgentServer } from '../../../../src/rpc/index.ts';
import type { Catalogue, SealedManifest } from '../../../../src/storage/catalogue.ts';
import { testAuthority, type TestAuthority } from '../../../rpc/certificates.ts';
import { implementation } from '../../../rpc/implementation.ts';
import { manifestOf } from '../../../storage/manifest.ts';

const ID = '2rg8000000';
const NODES = ['n1', 'n2'] as const;

let authority: TestAuthority;
let coordinator: string;
const identities: Record<string, string> = {};
beforeAll(async () => {
  authority = await testAuthority();
  coordinator = await authority.coordinator();
  for (const node of NODES) identities[node] = await authority.agent(node);
});
afterAll(() => authority.remove());

interface FakeAgent {
  state: string;
  kept: SealedManifest | undefined;
  removed: ReturnType<typeof signRemoval>[];
}

let base: string;
let agents: Record<string, FakeAgent>;
let servers: AgentServer[];
let nodes: ClusterNode[];

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-gather-'));
  [agents, servers, nodes] = [{}, [], []];
  for (const node of NODES) {
    const agent: FakeAgent = { state: '', kept: undefined, removed: [] };
    agents[node] = agent;
    const server = await createAgentServer(
      implementation({
        listSnapshots: () => ({
          snapshots:
            agent.state === ''
              ? []
              : [{ snapshotId: ID, stack: 'bank', state: agent.state, hasManifest: agent.kept !== undefined }],
          removed: agent.removed.map((one) => ({ ...one, signature: Buffer.from(one.signature) })),
        }),
        manifest: () => ({
          snapshotId: ID,
          manifest: Buffer.from(agent.kept?.manifest ?? []),
          signature: Buffer.from(agent.kept?.signature ?? []),
        }),
        keepManifest: ({ snapshotId: id, ...kept }) => {
          agent.kept = { id, ...kept };
          return {};
        },
        remove: () => {
          agent.state = '';
          return {};
        },
      }),
      { host: '127.0.0.1', port: 0, credentials: serverCredentials(identities[node] ?? '') },
    );
    servers.push(server);
    nodes.push({ hostname: node, state: 'ready', agentAddress: `127.0.0.1:${server.port}` } as ClusterNode);
  }
});
afterEach(async () => {
  for (const server of servers) await server.close(0);
  rmSync(base, { recursive: true, force: true });
});

/** A manager with a catalogue of its own, and the same authority. */
function manager(name: string): {
  catalogue: Catalogue;
  config: string;
  gather: () => ReturnType<typeof gatherSnapshots>;
} {
  const config = join(base, name, 'config');
  mkdirSync(config, { recursive: true });
  cpSync(coordinator, join(config, 'coordinator'), { recursive: true });
  const catalogue = openCatalogue({ state: join(base, name, 'state'), config });
  const log = { warn: () => undefined, info: () => undefined };
  const cluster = { nodes: () => Promise.resolve(nodes) };
  return { catalogue, config, gather: () => gatherSnapshots({ configDir: config, log, cluster, catalogue }) };
}

function agentOf(node: (typeof NODES)[number]): FakeAgent {
  const agent = agents[node];
  if (agent === undefined) throw new Error('fixture');
  return agent;
}

test('a snapshot that another manager has taken is there, signed, to the byte', async () => {
  const [taker, reader] = [manager('a'), manager('b')];
  const sealed = taker.catalogue.seal(manifestOf({ id: ID }));
  Object.assign(agentOf('n2'), { state: 'permanent', kept: sealed });
  expect(await reader.gather()).toEqual([]);
  expect(await reader.catalogue.ids()).toEqual([ID]);
  expect(await reader.catalogue.read(ID)).toMatchObject({ vouching: { state: 'signed' }, manifest: { id: ID } });
});

test('one that is not committed, or that nobody has signed as it is, is not', async () => {
  const [taker, reader] = [manager('a'), manager('b')];
  const sealed = taker.catalogue.seal(manifestOf({ id: ID }));
  Object.assign(agentOf('n1'), { state: 'tentative', kept: sealed });
  await reader.gather();
  expect(await reader.catalogue.ids()).toEqual([]);
  const forged = Buffer.from(
    Buffer.from(sealed.manifest).toString().replace('"external": "close"', '"external": "refuse"'),
  );
  expect(forged.equals(Buffer.from(sealed.manifest))).toBe(false);
  Object.assign(agentOf('n1'), { state: 'permanent', kept: { ...sealed, manifest: forged } });
  await reader.gather();
  expect(await reader.catalogue.ids()).toEqual([]);
  // Another node has the true one.
  Object.assign(agentOf('n2'), { state: 'permanent', kept: sealed });
  await reader.gather();
  expect(await reader.catalogue.ids()).toEqual([ID]);
});

test('one that was removed elsewhere is removed here, and on a node that was away then', async () => {
  const [taker, remover] = [manager('a'), manager('b')];
  const sealed = taker.catalogue.seal(manifestOf({ id: ID }));
  await taker.catalogue.keep(sealed);
  Object.assign(agentOf('n1'), { removed: [signRemoval(remover.config, ID)] });
  Object.assign(agentOf('n2'), { state: 'permanent', kept: sealed });
  await taker.gather();
  expect(await taker.catalogue.ids()).toEqual([]);
  expect(agentOf('n2').state).toBe('');
});

test('what was changed beside a manifest comes to the agents that keep it, and to no others', async () => {
  const { catalogue, config } = manager('a');
  const sealed = catalogue.seal(manifestOf({ id: ID }));
  await catalogue.keep({ ...sealed, key: Buffer.from('the new wrapped key') });
  Object.assign(agentOf('n1'), { state: 'permanent', kept: { ...sealed, key: Buffer.from('the old one') } });
  agentOf('n2').state = 'permanent';
  const cluster = { nodes: () => Promise.resolve(nodes) };
  expect(await shareManifests({ configDir: config, cluster, catalogue }, [ID])).toEqual([]);
  const { kept } = agentOf('n1');
  expect(Buffer.from(kept?.key ?? []).toString()).toBe('the new wrapped key');
  expect(Buffer.from(kept?.manifest ?? [])).toEqual(sealed.manifest);
  expect(agentOf('n2').kept).toBeUndefined();
});

test('a removal that no coordinator has signed removes nothing', async () => {
  const taker = manager('a');
  await taker.catalogue.keep(taker.catalogue.seal(manifestOf({ id: ID })));
  const other = signRemoval(taker.config, '2rg8000001');
  agentOf('n1').removed = [{ ...other, snapshotId: ID }];
  await taker.gather();
  expect(await taker.catalogue.ids()).toEqual([ID]);
});

test('nodes that do not answer are named', async () => {
  const reader = manager('a');
  const [first, second] = nodes;
  if (first === undefined || second === undefined) throw new Error('fixture');
  nodes = [
    { ...first, state: 'down' },
    { ...second, agentAddress: '127.0.0.1:1' },
  ];
  expect(await reader.gather()).toMatchObject([{ node: 'n1', error: 'the node is down' }, { node: 'n2' }]);
});
