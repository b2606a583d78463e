import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { joinCluster } from '../../agent/identity/join.ts';
import { initAuthority } from '../../coordinator/ca/authority.ts';
import { listenForJoins, type JoinListener, type JoinOptions } from '../../coordinator/ca/join-listener.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { joinTokenText } from '../../src/rpc/identity/join-protocol.ts';
import { writeTrust, readTrust } from '../../src/rpc/identity/identity-files.ts';
import { clientCredentials, connectAgent, createAgentServer, serverCredentials } from '../../src/rpc/index.ts';
import type { AgentImplementation } from '../../src/rpc/index.ts';
import { issuedCertificates } from '../../coordinator/ca/issued.ts';

let base: string;
let config: string;
let nowMs: number;
let refusals: string[];
const listeners: JoinListener[] = [];

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-join-'));
  config = join(base, 'config');
  nowMs = Date.now();
  refusals = [];
  await initAuthority(config, { days: 100, certificateDays: 10, force: false, now: new Date() });
});
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
  rmSync(base, { recursive: true, force: true });
});

async function listening(changes: Partial<JoinOptions> = {}): Promise<JoinListener> {
  const listener = await listenForJoins({
    configDirectory: config,
    host: '127.0.0.1',
    port: 0,
    uses: 1,
    expiresAtMs: nowMs + 60_000,
    replace: false,
    nowMs: () => nowMs,
    onRefused: (message) => refusals.push(message),
    ...changes,
  });
  listeners.push(listener);
  return listener;
}

function joinAs(node: string, { token, port }: JoinListener, changes: Partial<Parameters<typeof joinCluster>[0]> = {}) {
  return joinCluster({
    token: joinTokenText(token),
    host: '127.0.0.1',
    port,
    node,
    addresses: ['127.0.0.1'],
    configDirectory: join(base, node),
    force: false,
    ...changes,
  });
}

async function failureOf(work: Promise<unknown>): Promise<SwarmcutError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SwarmcutError) return error;
  throw new Error('it did not fail', { cause: error });
}

test('a node that shows the token gets all that an agent needs, and keeps its key to itself', async () => {
  const listener = await listening();
  const folder = await joinAs('n4', listener);
  await listener.usedUp;
  expect(readdirSync(folder).sort()).toEqual(['ca.crt', 'stack.key', 'tls.crt', 'tls.key']);
  for (const name of ['stack.key', 'tls.key']) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(folder, 'stack.key'))).toEqual(readFileSync(join(config, 'ca/stack.key')));
  const certificate = new X509Certificate(readFileSync(join(folder, 'tls.crt')));
  expect(certificate.checkPrivateKey(createPrivateKey(readFileSync(join(folder, 'tls.key'))))).toBe(true);
  expect(certificate.subjectAltName).toBe('DNS:n4, IP Address:127.0.0.1, URI:swarmcut://agent/n4');
  expect((await issuedCertificates(config)).map(({ name }) => name)).toEqual(['coordinator', 'n4']);
  // And it is what a coordinator talks to.
  const implementation: Partial<AgentImplementation> = { info: () => ({ node: 'n4' }) };
  const server = await createAgentServer(implementation as AgentImplementation, {
    host: '127.0.0.1',
    port: 0,
    credentials: serverCredentials(folder),
  });
  const credentials = clientCredentials(join(config, 'coordinator'));
  const client = connectAgent({ node: 'n4', address: `127.0.0.1:${server.port}`, credentials });
  expect(await client.info({})).toMatchObject({ node: 'n4' });
  client.close();
  await server.close(0);
});

test('no secret, no token and no key lie anywhere but with their owners', async () => {
  const listener = await listening();
  await joinAs('n4', listener);
  const key = readFileSync(join(base, 'n4/agent/tls.key'), 'utf8');
  for (const name of readdirSync(config, { recursive: true, encoding: 'utf8' })) {
    const file = join(config, name);
    if (!statSync(file).isFile()) continue;
    expect(readFileSync(file, 'utf8')).not.toContain(listener.token.secret);
    expect(readFileSync(file, 'utf8')).not.toContain(key);
  }
});

test('used twice: refused, the second node has nothing', async () => {
  const listener = await listening();
  await joinAs('n4', listener);
  expect(await failureOf(joinAs('n5', listener))).toMatchObject({
    code: 'precondition',
    message: 'the coordinator refuses: the token has been used',
  });
  expect(existsSync(join(base, 'n5/agent/tls.crt'))).toBe(false);
  expect(refusals).toEqual(['the token has been used']);
});

test('with two uses two nodes join, also at once, and no third', async () => {
  const listener = await listening({ uses: 2 });
  const ends = await Promise.allSettled(['n4', 'n5', 'n6'].map((node) => joinAs(node, listener)));
  expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  await listener.usedUp;
});

test('expired: refused', async () => {
  const listener = await listening();
  nowMs += 60_000;
  expect((await failureOf(joinAs('n4', listener))).message).toContain('the token expired at');
});

test('a wrong secret: refused, and does not use the token up', async () => {
  const listener = await listening();
  const wrong = { ...listener, token: { ...listener.token, secret: '0'.repeat(32) } };
  expect(await failureOf(joinAs('n4', wrong))).toMatchObject({
    code: 'precondition',
    message: 'the coordinator refuses: the secret of the token is wrong',
  });
  await joinAs('n4', listener);
});

test('another authority: the node says nothing to it', async () => {
  const listener = await listening();
  const other = { ...listener, token: { ...listener.token, authority: 'ab'.repeat(32) } };
  const refused = await failureOf(joinAs('n4', other));
  expect(refused.code).toBe('precondition');
  expect(refused.message).toContain('its authority has another digest');
  expect(refusals).toEqual([]);
  expect(existsSync(join(base, 'n4'))).toBe(false);
});

test('a name that is taken: refused, unless it is to be replaced, or its certificate was revoked', async () => {
  await joinAs('n4', await listening());
  const again = { configDirectory: join(base, 'other') };
  expect(await failureOf(joinAs('n4', await listening(), again))).toMatchObject({
    code: 'conflict',
    message: 'the coordinator refuses: there is a node n4 already, and its certificate counts',
  });
  await joinAs('n4', await listening({ replace: true }), again);
  const serials = (await issuedCertificates(config)).filter(({ name }) => name === 'n4').map(({ serial }) => serial);
  const folder = join(config, 'coordinator');
  await writeTrust(folder, { ...readTrust(folder), revoked: serials });
  const third = await joinAs('n4', await listening(), { configDirectory: join(base, 'third') });
  expect(readTrust(third).revoked).toEqual(serials);
});

test.each(['coordinator', '../n4', ''])('no node is called %j', async (node) => {
  const configDirectory = join(base, 'odd');
  expect(await failureOf(joinAs(node, await listening({ replace: true }), { configDirectory }))).toMatchObject({
    code: 'usage',
  });
});

test('a token for one node is for no other', async () => {
  const listener = await listening({ node: 'n4' });
  expect((await failureOf(joinAs('n5', listener))).message).toContain('the token is for node n4, not for n5');
  await joinAs('n4', listener);
});

test('what a node has is left alone, unless it says so', async () => {
  const folder = await joinAs('n4', await listening());
  const before = readFileSync(join(folder, 'tls.crt'));
  expect(await failureOf(joinAs('n4', await listening({ replace: true })))).toMatchObject({ code: 'conflict' });
  expect(readFileSync(join(folder, 'tls.crt'))).toEqual(before);
  await joinAs('n4', await listening({ replace: true }), { force: true });
  expect(readFileSync(join(folder, 'tls.crt'))).not.toEqual(before);
  expect(readdirSync(folder).sort()).toEqual(['ca.crt', 'stack.key', 'tls.crt', 'tls.key']);
});

test('nobody there, and no token', async () => {
  const listener = await listening();
  await listener.close();
  expect(await failureOf(joinAs('n4', listener))).toMatchObject({
    code: 'unreachable',
    advice: expect.stringContaining('coordinator join-token --wait') as string,
  });
  expect(await failureOf(joinAs('n4', listener, { token: 'SCUTJOIN-1-abc' }))).toMatchObject({ code: 'usage' });
});
