import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SwarmcutError } from '../../src/model/errors.ts';
import { followed } from '../../src/platform/activity.ts';
import { deferred } from '../../src/platform/deferred.ts';
import {
  assertOwnCertificateValid,
  clientCredentials,
  connectAgent,
  createAgentServer,
  peerOf,
  serverCredentials,
  validUntil,
} from '../../src/rpc/index.ts';
import type { AgentClient, AgentImplementation, AgentServer, Fence } from '../../src/rpc/index.ts';
import { agentService } from '../../src/rpc/definition.ts';
import { Revocations } from '../../src/rpc/identity/revocations.ts';
import { testAuthority } from './certificates.ts';
import { implementation } from './implementation.ts';
import type { TestAuthority } from './certificates.ts';

let authority: TestAuthority;
let folders: { n1: string; n2: string; coordinator: string };
const open: { close(): unknown }[] = [];

beforeAll(async () => {
  authority = await testAuthority();
  folders = {
    n1: await authority.agent('n1'),
    n2: await authority.agent('n2'),
    coordinator: await authority.coordinator(),
  };
});
afterAll(async () => {
  for (const each of open.reverse()) await each.close();
  authority.remove();
});

async function serve(
  part: Partial<AgentImplementation>,
  errors: unknown[] = [],
  certificate = folders.n1,
): Promise<AgentServer> {
  const server = await createAgentServer(implementation(part), {
    host: '127.0.0.1',
    port: 0,
    credentials: serverCredentials(certificate),
    onInternalError: (error) => errors.push(error),
  });
  open.push({ close: () => server.close(0) });
  return server;
}

function connect(port: number, certificate = folders.coordinator, node = 'n1'): AgentClient {
  const client = connectAgent({
    node,
    address: `127.0.0.1:${port}`,
    credentials: clientCredentials(certificate),
  });
  open.push(client);
  return client;
}

async function failure(promise: Promise<unknown>): Promise<SwarmcutError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SwarmcutError);
  return error as SwarmcutError;
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

describe('calls over mutual TLS', () => {
  it('carry requests, replies and enumerations both ways', async () => {
    const { port } = await serve({
      collect: (request, { peer }) => ({
        task: request.task,
        parts: [{ kind: 'VOLUME', path: peer.role, sha256: 'ab', sizeBytes: 2 ** 40 }],
      }),
    });
    const reply = await connect(port).collect({
      snapshotId: 's1',
      task: { service: 'a', slot: '1', taskId: 't', containerId: 'c' },
    });
    expect(reply.task?.service).toBe('a');
    expect(reply.parts).toEqual([
      { kind: 'VOLUME', path: 'coordinator', sha256: 'ab', sizeBytes: 2 ** 40, wrappedKey: '' },
    ]);
    expect(reply.connections).toEqual([]);
  });

  it('say under which lock they are made, streams too; who refuses it is heard', async () => {
    const seen: (Fence | undefined)[] = [];
    const server = await createAgentServer(
      implementation({
        finish: () => ({}),
        watchRestore: async function* () {
          yield* await Promise.resolve([]);
        },
      }),
      {
        host: '127.0.0.1',
        port: 0,
        credentials: serverCredentials(folders.n1),
        admit: (fence) => {
          seen.push(fence);
          if (fence.token < 7) throw new SwarmcutError('conflict', 'another coordinator has taken over');
        },
      },
    );
    open.push({ close: () => server.close(0) });
    let fence: Fence | undefined = { stack: 'bänk', cluster: 'swarm', token: 7 };
    const client = connectAgent({
      node: 'n1',
      address: `127.0.0.1:${server.port}`,
      credentials: clientCredentials(folders.coordinator),
      fence: () => fence,
    });
    open.push(client);
    await client.finish({ snapshotId: 's1' });
    expect(await collect(client.watchRestore({ restoreId: 'r1' }))).toEqual([]);
    expect(seen).toEqual([fence, fence]);
    fence = { ...fence, token: 6 };
    expect(await failure(client.finish({ snapshotId: 's1' }))).toMatchObject({
      code: 'conflict',
      where: { node: 'n1' },
    });
    expect(await failure(collect(client.watchRestore({ restoreId: 'r1' })))).toMatchObject({ code: 'conflict' });
    fence = undefined;
    await client.finish({ snapshotId: 's1' });
    expect(seen).toHaveLength(4);
  });

  it('bring a SwarmcutError over whole, and name the node', async () => {
    const { port } = await serve({
      prepare: () => {
        throw new SwarmcutError('precondition', 'no memory: ümlaut\nsecond line', {
          where: { service: 'a', slot: '2' },
          advice: 'Free some.',
        });
      },
    });
    const error = await failure(connect(port).prepare({ snapshotId: 's1' }));
    expect(error).toMatchObject({
      code: 'precondition',
      message: 'no memory: ümlaut\nsecond line',
      advice: 'Free some.',
      where: { node: 'n1', service: 'a', slot: '2' },
    });
  });

  it('shorten an endless message but keep both ends', async () => {
    const { port } = await serve({
      cut: () => {
        throw new SwarmcutError('failed', `first ${'x'.repeat(1_000_000)} last`);
      },
    });
    const error = await failure(connect(port).cut({}));
    expect(error.message).toMatch(/^first .* … .* last$/);
  });

  it('report mistakes of ours as internal, and tell the server', async () => {
    const errors: unknown[] = [];
    const { port } = await serve({}, errors);
    const error = await failure(connect(port).finish({}));
    expect(error).toMatchObject({ code: 'internal', message: 'finish was not to be called' });
    expect(errors).toHaveLength(1);
  });

  it('are refused to agents, but for Fetch', async () => {
    const { port } = await serve({
      info: () => ({}),
      fetch: async function* () {
        yield await Promise.resolve({ sha256: 'ab', last: true });
      },
    });
    const client = connect(port, folders.n2);
    expect((await failure(client.info({}))).message).toContain('not allowed to the agent of node n2');
    expect(await collect(client.fetch({ sha256: ['ab'] }))).toMatchObject([{ sha256: 'ab', last: true }]);
  });

  it('are made by agents under no lock: theirs would shut coordinators out', async () => {
    const seen: Fence[] = [];
    const server = await createAgentServer(
      implementation({
        fetch: async function* () {
          yield await Promise.resolve({ sha256: 'ab', last: true });
        },
      }),
      {
        host: '127.0.0.1',
        port: 0,
        credentials: serverCredentials(folders.n1),
        admit: (fence) => void seen.push(fence),
      },
    );
    open.push({ close: () => server.close(0) });
    const client = connectAgent({
      node: 'n1',
      address: `127.0.0.1:${server.port}`,
      credentials: clientCredentials(folders.n2),
      fence: () => ({ stack: 'bank', cluster: 'swarm', token: Number.MAX_SAFE_INTEGER }),
    });
    open.push(client);
    expect(await collect(client.fetch({ sha256: ['ab'] }))).toHaveLength(1);
    expect(seen).toEqual([]);
  });

  it('tell how far they are to coordinators alone, and only while their certificates count', async () => {
    const revocations = new Revocations();
    const server = await createAgentServer(implementation({}), {
      host: '127.0.0.1',
      port: 0,
      credentials: serverCredentials(folders.n1),
      revocations,
    });
    open.push({ close: () => server.close(0) });
    const ask = (folder: string): Promise<unknown> => {
      const channel = new (agentService())(`127.0.0.1:${server.port}`, clientCredentials(folder), {
        'grpc.ssl_target_name_override': 'n1',
      });
      open.push(channel);
      return new Promise((resolve, reject) => {
        channel.progress({ calls: ['x'] }, (error, reply) => (error === null ? resolve(reply) : reject(error)));
      });
    };
    expect(await ask(folders.coordinator)).toEqual({ calls: [] });
    await expect(ask(folders.n2)).rejects.toThrow('Progress is not allowed to the agent of node n2');
    const { serialNumber } = new X509Certificate(readFileSync(join(folders.coordinator, 'tls.crt')));
    revocations.replace([serialNumber]);
    await expect(ask(folders.coordinator)).rejects.toThrow('was revoked');
  });

  it('are refused to certificates without a role', async () => {
    const plain = await authority.issue('plain', [{ type: 'dns', value: 'coordinator' }]);
    const { port } = await serve({});
    const client = connect(port, plain);
    expect((await failure(client.info({}))).code).toBe('precondition');
    expect((await failure(collect(client.fetch({})))).code).toBe('precondition');
  });

  it('are refused to certificates of another authority', async () => {
    const other = await testAuthority();
    const { port } = await serve({ info: () => ({}) });
    const error = await failure(connect(port, await other.coordinator()).info({}));
    other.remove();
    expect(error.code).toBe('unreachable');
  });

  it('are not made to a node with another name', async () => {
    const { port } = await serve({ info: () => ({}) });
    const error = await failure(connect(port, folders.coordinator, 'n2').info({}));
    expect(error).toMatchObject({ code: 'unreachable', where: { node: 'n2' } });
    expect(error.message).toContain('cannot be trusted');
  });

  it('say that the agent has an expired certificate, since when, and how to get another', async () => {
    const expired = new Date(Math.floor(Date.now() / 1000) * 1000 - 3_600_000);
    const { port } = await serve({ info: () => ({}) }, [], await authority.agent('n1', expired));
    const client = connect(port);
    for (const call of [() => client.info({}), () => collect(client.fetch({}))]) {
      const error = await failure(call());
      expect(error).toMatchObject({ code: 'unreachable', where: { node: 'n1' } });
      expect(error.message).toBe(
        `the certificate of the agent of node n1 (127.0.0.1:${port}) expired at ${expired.toISOString()}`,
      );
      expect(error.advice).toContain('`coordinator ca issue n1`');
    }
  });

  it('know when an own certificate has expired, before anybody is called', async () => {
    const expired = new Date(Math.floor(Date.now() / 1000) * 1000 - 3_600_000);
    const folder = await authority.coordinator(expired);
    expect(() => assertOwnCertificateValid(folder, new Date())).toThrow(`expired at ${expired.toISOString()}`);
    const file = join(folder, 'tls.crt');
    expect(validUntil(folder)).toEqual({ file, until: expired });
    const error = await failure(Promise.resolve().then(() => assertOwnCertificateValid(folder, new Date())));
    expect(error).toMatchObject({ code: 'precondition', where: { file } });
    expect(error.advice).toContain('`coordinator ca renew`');
    assertOwnCertificateValid(folders.coordinator, new Date());
  });

  it('fail as unreachable when nobody listens', async () => {
    const probe = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => probe.once('listening', resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const error = await failure(connect(port).info({}));
    expect(error).toMatchObject({ code: 'unreachable', where: { node: 'n1' } });
    expect(error.message).toMatch(/cannot be reached for \w+: connect ECONNREFUSED [\d.:]+$/);
    expect(error.message).toContain('Info');
  });

  it('end at their deadline and at the signal, and abort the handler', async () => {
    const reasons: unknown[] = [];
    const under: { way?: () => void } = {};
    const { port } = await serve({
      cut: (_request, { signal }) =>
        new Promise((_resolve, reject) => {
          under.way?.();
          signal.addEventListener('abort', () => {
            reasons.push(signal.reason);
            reject(signal.reason as Error);
          });
        }),
    });
    const client = connect(port);
    expect((await failure(client.cut({}, { deadlineMs: 50 }))).message).toContain(
      'did not answer Cut, nor anything else',
    );
    const controller = new AbortController();
    const begun = new Promise<void>((resolve) => (under.way = resolve));
    const call = client.cut({}, { signal: controller.signal });
    // What has not reached the agent has nothing to abort there.
    await begun;
    controller.abort(new SwarmcutError('interrupted', 'by the user'));
    expect((await failure(call)).message).toBe('by the user');
    await expect.poll(() => reasons.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(1);
  });

  it('take as long as they take if they get on, and say what was last heard of them when they do not', async () => {
    let bytes = 0;
    const reached = deferred<undefined>();
    const { port } = await serve({
      collect: async () => {
        using _progress = followed(() => ({ doing: `${bytes} bytes are stored`, mark: String(bytes) }));
        await reached.promise;
        return {};
      },
    });
    const client = connect(port);
    const heard: string[] = [];
    // Long enough for two questions in between, on a machine that is busy.
    const settings = { deadlineMs: 5_000, onProgress: (doing: string) => void heard.push(doing) };
    const growing = setInterval(() => (bytes += 1), 10);
    const call = client.collect({}, settings);
    await expect.poll(() => heard.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
    clearInterval(growing);
    const error = await failure(call);
    expect(error).toMatchObject({ code: 'unreachable', where: { node: 'n1' } });
    expect(error.message).toMatch(
      /the agent of node n1 .* answers, but Collect has made no progress for \d\S* s, after \d+ s in all; last heard: \d+ bytes are stored/,
    );
    reached.resolve(undefined);
  }, 60_000);

  it('stream errors after the first messages, and stop the handler when the reader leaves', async () => {
    let stopped = false;
    const { port } = await serve({
      watchRestore: async function* (request, { signal }) {
        yield { phase: 'ARRIVED' };
        if (request.restoreId === 'bad') throw new SwarmcutError('failed', 'step 2');
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        stopped = true;
      },
    });
    const client = connect(port);
    const seen: string[] = [];
    const error = await failure(
      (async () => {
        for await (const event of client.watchRestore({ restoreId: 'bad' })) seen.push(event.phase);
      })(),
    );
    expect(seen).toEqual(['ARRIVED']);
    expect(error).toMatchObject({ code: 'failed', message: 'step 2' });
    for await (const _event of client.watchRestore({ restoreId: 'good' })) break;
    await expect.poll(() => stopped).toBe(true);
  });
});

describe('roles', () => {
  it('come from whole URIs only', () => {
    expect(peerOf({ subjectaltname: 'DNS:n1, URI:swarmcut://agent/n1' })).toEqual({ role: 'agent', node: 'n1' });
    expect(peerOf({ subjectaltname: 'URI:swarmcut://coordinator' })).toEqual({ role: 'coordinator' });
    expect(peerOf({ subjectaltname: 'DNS:"x, URI:swarmcut://coordinator"' })).toEqual({ role: 'unknown' });
    expect(peerOf({ subjectaltname: 'DNS:swarmcut://coordinator' })).toEqual({ role: 'unknown' });
    expect(peerOf(undefined)).toEqual({ role: 'unknown' });
  });
});
