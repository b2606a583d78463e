import { X509Certificate } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { IdentityService } from '../../../agent/identity/identity-service.ts';
import { initAuthority, issueForNode } from '../../../coordinator/ca/authority.ts';
import { LocalAuthority } from '../../../coordinator/ca/operator.ts';
import {
  certificatesOf,
  revokeCertificates,
  rotateAuthority,
  type CoordinatorContext,
} from '../../../coordinator/operations/index.ts';
import { renewOwnCertificate } from '../../../coordinator/operations/certificates/own-certificate.ts';
import { openCatalogue } from '../../../coordinator/operations/session/catalogue.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { digestOf, serialOf } from '../../../src/rpc/identity/authorities.ts';
import { readTrust } from '../../../src/rpc/identity/identity-files.ts';
import { clientCredentials, connectAgent, createAgentServer, LiveIdentity } from '../../../src/rpc/index.ts';
import type { AgentClient, AgentImplementation, AgentServer } from '../../../src/rpc/index.ts';
import { manifestOf } from '../../storage/manifest.ts';

interface Node {
  readonly name: string;
  readonly folder: string;
  server: AgentServer;
  /** A long call is under way. */
  busy: boolean;
  /** Ends it. */
  goOn: () => void;
}

// Each makes a score of keys and connections.
vi.setConfig({ testTimeout: 60_000 });

const NODES = ['n1', 'n2', 'n3'];
const DAYS = { days: 100, certificateDays: 10 };
const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

let base: string;
let config: string;
let nodes: Node[];
let ctx: CoordinatorContext;
let authority: LocalAuthority;
const clients: AgentClient[] = [];

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-certificates-'));
  config = join(base, 'config');
  await initAuthority(config, { ...DAYS, force: false, now: new Date() });
  nodes = await Promise.all(NODES.map(startNode));
  const directories = { state: join(base, 'state'), run: join(base, 'run'), config };
  const shown = nodes.map(({ name, server }) => ({
    id: name,
    hostname: name,
    state: 'ready',
    agentAddress: `127.0.0.1:${server.port}`,
  }));
  ctx = {
    directories,
    log: LOG,
    signal: new AbortController().signal,
    emit: () => undefined,
    cluster: { nodes: () => Promise.resolve(shown) },
  } as unknown as CoordinatorContext;
  authority = new LocalAuthority(config);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const { server, goOn } of nodes) {
    goOn();
    await server.close(0);
  }
  rmSync(base, { recursive: true, force: true });
});

/** An agent with a real identity, as agent/run.ts makes it. */
async function startNode(name: string): Promise<Node> {
  const folder = join(base, name, 'agent');
  if (!existsSync(folder)) await issue(name);
  const node: Node = { name, folder, server: undefined as unknown as AgentServer, busy: false, goOn: () => undefined };
  node.server = await serve(node, 0);
  return node;
}

async function issue(name: string): Promise<void> {
  const outDirectory = join(base, name, 'agent');
  await issueForNode(config, name, { addresses: ['127.0.0.1'], outDirectory, days: 10, now: new Date() });
}

async function serve(node: Node, port: number): Promise<AgentServer> {
  const identity = new LiveIdentity(node.folder);
  const service = new IdentityService({ identity, node: node.name, changed: () => undefined, log: LOG as never });
  const implementation: Partial<AgentImplementation> = {
    info: () => ({ node: node.name }),
    // Something that takes long.
    cut: async () => {
      await long(node);
      return {};
    },
    fetch: async function* () {
      await long(node);
      yield {};
    },
    identity: () => service.identity(),
    trust: async (trust) => {
      await service.trust(trust);
      return {};
    },
    requestCertificate: async () => ({ request: await service.request() }),
    installCertificate: async ({ certificate }) => {
      await service.install(certificate);
      return {};
    },
  };
  return createAgentServer(implementation as AgentImplementation, {
    host: '127.0.0.1',
    port,
    credentials: identity.serverCredentials(),
    revocations: identity.revocations,
  });
}

function long(node: Node): Promise<void> {
  return new Promise((resolve) => {
    node.goOn = resolve;
    node.busy = true;
  });
}

function nodeOf(name: string): Node {
  const node = nodes.find((each) => each.name === name);
  if (node === undefined) throw new Error('fixture');
  return node;
}

/** @param identity of the caller; default: the coordinator's, as it is now */
function connect(to: string, identity = join(config, 'coordinator')): AgentClient {
  const address = `127.0.0.1:${nodeOf(to).server.port}`;
  const client = connectAgent({ node: to, address, credentials: clientCredentials(identity) });
  clients.push(client);
  return client;
}

async function failureOf(work: Promise<unknown>): Promise<SwarmcutError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SwarmcutError) return error;
  throw new Error('it did not fail', { cause: error });
}

function certificateIn(folder: string): X509Certificate {
  return new X509Certificate(readFileSync(join(folder, 'tls.crt')));
}

const rotate = (skip: string[] = [], forgetOld = false) => rotateAuthority(ctx, authority, { forgetOld, skip });

describe('rotation of the authority', () => {
  test('all have new certificates and trust the new one alone; calls under way go on; nothing was restarted', async () => {
    cpSync(join(config, 'coordinator'), join(base, 'old-coordinator'), { recursive: true });
    const keys = nodes.map(({ folder }) => readFileSync(join(folder, 'tls.key'), 'utf8'));
    const before = connect('n1');
    const underWay = before.cut({});
    await expect.poll(() => nodeOf('n1').busy, { timeout: 20_000 }).toBe(true);
    const report = await rotate();
    expect(report.nodes).toEqual(NODES);
    for (const { name, folder } of nodes) {
      expect(readTrust(folder).trusted.match(/BEGIN/g)).toHaveLength(1);
      expect(digestOf(readTrust(folder).trusted)).toBe(report.authority);
      expect(await connect(name).info({})).toMatchObject({ node: name });
      // Agents reach each other, too.
      const [other = ''] = NODES.filter((each) => each !== name);
      expect(await failureOf(connect(other, folder).info({}))).toMatchObject({
        message: expect.stringContaining('not allowed') as string,
      });
    }
    expect(nodes.map(({ folder }) => readFileSync(join(folder, 'tls.key'), 'utf8'))).not.toEqual(keys);
    nodeOf('n1').goOn();
    await underWay;
    // What is connected goes on; who comes with the old certificate is not let in.
    expect(await before.info({})).toMatchObject({ node: 'n1' });
    const stranger = await failureOf(connect('n2', join(base, 'old-coordinator')).info({}));
    expect(stranger.code).toBe('unreachable');
    expect(existsSync(join(config, 'ca', 'rotation.json'))).toBe(false);
    expect(existsSync(join(config, 'ca', 'next.key'))).toBe(false);
    // The new authority issues, and can be replaced in its turn.
    const second = await rotate();
    expect(second.authority).not.toBe(report.authority);
  });

  test('manifests that were signed under the old one stay signed; with --forget-old they do not', async () => {
    const catalogue = openCatalogue(ctx.directories);
    await catalogue.write(manifestOf());
    const { id } = manifestOf();
    await rotate();
    expect((await catalogue.read(id)).vouching.state).toBe('signed');
    await catalogue.write(manifestOf({ id: '2rg8000001' }));
    await rotate([], true);
    expect((await catalogue.read(id)).vouching.state).toBe('wrong');
    expect((await catalogue.read('2rg8000001')).vouching.state).toBe('wrong');
  });

  test('stays in its phase when a node does not answer, works meanwhile, and goes on when it does', async () => {
    const { port } = nodeOf('n3').server;
    await nodeOf('n3').server.close(0);
    const refused = await failureOf(rotate());
    expect(refused.message).toContain('the rotation stays in phase trust: n3 could not trust both authorities');
    expect((await authority.rotation())?.phase).toBe('trust');
    for (const name of ['n1', 'n2']) expect(await connect(name).info({})).toMatchObject({ node: name });
    nodeOf('n3').server = await serve(nodeOf('n3'), port);
    const { authority: digest } = await rotate();
    expect(digestOf(readTrust(nodeOf('n3').folder).trusted)).toBe(digest);
  });

  test('a node that never answers can be left behind, and joins again with a certificate of the new authority', async () => {
    await nodeOf('n3').server.close(0);
    const report = await rotate(['n3']);
    expect(report).toMatchObject({ nodes: ['n1', 'n2'], skipped: ['n3'] });
    await issue('n3');
    expect(digestOf(readTrust(nodeOf('n3').folder).trusted)).toBe(report.authority);
  });

  // A process that dies between two steps: each is done again.
  const steps = ['begin', 'enterIssuing', 'enterDropping', 'end', 'issue'] as const;
  test.each(steps.flatMap((step) => [[step, 'before'] as const, [step, 'after'] as const]))(
    'dies at %s (%s it was done): done again, it comes to its end',
    async (step, when) => {
      let died = false;
      const dying = new Proxy(authority, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target);
          if (typeof value !== 'function') return value;
          return async (...args: unknown[]) => {
            const act = value.bind(target) as (...all: unknown[]) => Promise<unknown>;
            if (name !== step || died) return act(...args);
            died = true;
            if (when === 'after') await act(...args);
            throw new SwarmcutError('internal', 'dies here');
          };
        },
      });
      await failureOf(rotateAuthority(ctx, dying, { forgetOld: false, skip: [] }));
      expect(died).toBe(true);
      for (const name of NODES) expect(await connect(name).info({})).toMatchObject({ node: name });
      const { authority: digest } = await rotate();
      for (const { name, folder } of nodes) {
        expect(digestOf(readTrust(folder).trusted)).toBe(digest);
        expect(await connect(name).info({})).toMatchObject({ node: name });
      }
      expect(await authority.rotation()).toBeUndefined();
    },
  );

  test('an agent that dies between its new certificate and its new key starts with the right pair', async () => {
    const { folder } = nodeOf('n1');
    const [certificate, key] = ['tls.crt', 'tls.key'].map((name) => readFileSync(join(folder, name)));
    await rotate();
    // As it was just before the key got its name.
    writeFileSync(join(folder, 'tls.key.next'), readFileSync(join(folder, 'tls.key')));
    writeFileSync(join(folder, 'tls.key'), key ?? '');
    const { port } = nodeOf('n1').server;
    await nodeOf('n1').server.close(0);
    nodeOf('n1').server = await serve(nodeOf('n1'), port);
    expect(await connect('n1').info({})).toMatchObject({ node: 'n1' });
    expect(certificateIn(folder).raw.equals(new X509Certificate(certificate ?? '').raw)).toBe(false);
  });

  test('two at a time: the second is refused', async () => {
    const second = await authority.exclusively(() => failureOf(rotate()));
    expect(second).toMatchObject({ code: 'conflict' });
    await rotate();
  });

  test('waits for what was begun before, and not for what a killed process has left', async () => {
    const locks = join(ctx.directories.run, 'locks');
    mkdirSync(locks, { recursive: true });
    // Whoever runs this test is a process that is there, and not the one that rotates.
    const holder = { pid: process.ppid, command: 'restore', id: 'r1', since: '' };
    writeFileSync(join(locks, 'bank.lock'), JSON.stringify(holder));
    writeFileSync(join(locks, 'shop.lock'), JSON.stringify({ ...holder, pid: 2 ** 22 + 1, id: 'r2' }));
    const told: string[] = [];
    ctx = {
      ...ctx,
      emit: (event) => {
        if (event.kind !== 'information') return;
        told.push(event.message);
        writeFileSync(join(locks, 'bank.lock'), '');
      },
    };
    await rotate();
    expect(told).toEqual(['waiting for the restore of stack bank to end (id r1)']);
  });

  test('shows where it stands', async () => {
    await nodeOf('n3').server.close(0);
    await failureOf(rotate());
    const report = await certificatesOf(ctx, authority);
    expect(report.rotation?.phase).toBe('trust');
    expect(report.nodes).toMatchObject([
      { node: 'n1', trusted: [expect.any(String), expect.any(String)] },
      { node: 'n2', authority: report.authority },
      { node: 'n3', error: expect.stringContaining('cannot be reached') as string },
    ]);
  });
});

test('certificates can be issued where the authority lies alone', async () => {
  rmSync(join(config, 'coordinator'), { recursive: true });
  await issue('n9');
  expect(digestOf(readTrust(join(base, 'n9/agent')).trusted)).toBe(digestOf(await authority.certificate()));
});

test("the coordinator's certificate is renewed without anybody else, and what it signed stays signed", async () => {
  const catalogue = openCatalogue(ctx.directories);
  await catalogue.write(manifestOf());
  const before = certificateIn(authority.identityFolder);
  await renewOwnCertificate(authority);
  expect(certificateIn(authority.identityFolder).serialNumber).not.toBe(before.serialNumber);
  expect(await connect('n1').info({})).toMatchObject({ node: 'n1' });
  expect((await catalogue.read(manifestOf().id)).vouching.state).toBe('signed');
});

describe('revocation', () => {
  test('a node is refused by name, at once, also on connections that it has; it is not talked to either', async () => {
    const thief = join(base, 'thief');
    cpSync(nodeOf('n3').folder, thief, { recursive: true });
    const open = connect('n1', thief);
    const ended = failureOf(open.fetch({ sha256: [], ticket: null })[Symbol.asyncIterator]().next());
    await expect.poll(() => nodeOf('n1').busy, { timeout: 20_000 }).toBe(true);
    const report = await revokeCertificates(ctx, authority, 'n3', []);
    const serial = serialOf(certificateIn(thief));
    expect(report).toMatchObject({ name: 'n3', revoked: [serial], told: ['n1', 'n2'], unreached: [] });
    const text = `the certificate of the agent of node n3 (serial number ${serial}) was revoked`;
    expect((await ended).message).toContain(text);
    expect(
      (await failureOf(open.fetch({ sha256: [], ticket: null })[Symbol.asyncIterator]().next())).message,
    ).toContain(text);
    expect((await failureOf(connect('n2', thief).info({}))).message).toContain(text);
    // Agents, and we, refuse to call it.
    expect((await failureOf(connect('n3').info({}))).message).toContain(text);
    expect((await failureOf(connect('n3', nodeOf('n1').folder).info({}))).message).toContain(text);
    // It lasts, and others are not concerned.
    await nodeOf('n1').server.close(0);
    nodeOf('n1').server = await serve(nodeOf('n1'), 0);
    expect((await failureOf(connect('n1', thief).info({}))).message).toContain(text);
    expect(await connect('n2').info({})).toMatchObject({ node: 'n2' });
  });

  test('the node is trusted again with another certificate', async () => {
    await revokeCertificates(ctx, authority, 'n3', []);
    await nodeOf('n3').server.close(0);
    await issue('n3');
    nodeOf('n3').server = await serve(nodeOf('n3'), 0);
    expect(await connect('n3').info({})).toMatchObject({ node: 'n3' });
    expect(readTrust(nodeOf('n3').folder).revoked).toHaveLength(1);
  });

  test("the coordinator's own: it goes on with another one, and what is signed with the old one counts no more", async () => {
    const thief = join(base, 'thief');
    cpSync(join(config, 'coordinator'), thief, { recursive: true });
    const catalogue = openCatalogue(ctx.directories);
    await catalogue.write(manifestOf());
    await revokeCertificates(ctx, authority, 'coordinator', []);
    expect(await connect('n1').info({})).toMatchObject({ node: 'n1' });
    expect((await failureOf(connect('n1', thief).info({}))).message).toContain('role coordinator');
    const { vouching } = await catalogue.read(manifestOf().id);
    expect(vouching).toMatchObject({ state: 'wrong', why: expect.stringContaining('was revoked') as string });
  });

  test('one that nobody knows is not revoked; a node that is away is named', async () => {
    await expect(revokeCertificates(ctx, authority, 'n9', [])).rejects.toMatchObject({ code: 'not-found' });
    expect((await revokeCertificates(ctx, authority, 'n9', ['abcd'])).revoked).toEqual(['abcd']);
    await nodeOf('n2').server.close(0);
    const report = await revokeCertificates(ctx, authority, 'n3', []);
    expect(report).toMatchObject({ told: ['n1'], unreached: [{ node: 'n2' }] });
  });

  test('a list that cannot be read lets nobody in', () => {
    const { folder } = nodeOf('n1');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'revoked.json'), '{"schemaVersion":1,"serials":["ab"');
    expect(() => new LiveIdentity(folder)).toThrow('the list of revoked certificates cannot be read');
  });
});
