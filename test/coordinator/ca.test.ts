import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { initAuthority, issueForCoordinator, issueForNode } from '../../coordinator/ca/authority.ts';
import { authorityFiles, coordinatorIdentityDirectory, identityFiles } from '../../coordinator/ca/layout.ts';

let folder: string;
const now = new Date();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmcut-ca-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const init = (config: string, force = false) => initAuthority(config, { days: 10, certificateDays: 5, force, now });
const issue = (config: string, node: string, addresses: string[] = ['127.0.0.1'], days = 5) =>
  issueForNode(config, node, { addresses, outDirectory: join(folder, node), days, now });

function load(directory: string): { ca: Buffer; cert: Buffer; key: Buffer } {
  const files = identityFiles(directory);
  return { ca: readFileSync(files.authority), cert: readFileSync(files.certificate), key: readFileSync(files.key) };
}

/** One handshake on loopback with both sides' certificates demanded. Answers whom the server saw, or why it failed. */
async function handshake(server: string, client: string): Promise<string> {
  const seen: string[] = [];
  const listener = createServer({ ...load(server), requestCert: true, rejectUnauthorized: true }, (socket) => {
    const names = socket.getPeerX509Certificate()?.subjectAltName ?? '';
    socket.on('error', () => undefined).end(names);
  });
  listener.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  try {
    return await new Promise<string>((resolve) => {
      const socket = connect({ ...load(client), host: '127.0.0.1', port });
      socket.on('data', (data: Buffer) => seen.push(data.toString()));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(`refused: ${error.code ?? error.message}`));
      socket.on('end', () => resolve(seen.join('')));
    });
  } finally {
    listener.close();
  }
}

describe('a real handshake', () => {
  test('coordinator and agent trust each other and know each other by name', async () => {
    await init(folder);
    await issue(folder, 'n1');
    const agent = join(folder, 'n1');
    const coordinator = coordinatorIdentityDirectory(folder);
    expect(await handshake(agent, coordinator)).toBe('DNS:coordinator, URI:swarmcut://coordinator');
    expect(await handshake(coordinator, agent)).toMatch(/^refused: ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  test('a certificate of another authority is refused on either side', async () => {
    await init(join(folder, 'ours'));
    await init(join(folder, 'theirs'));
    await issue(join(folder, 'ours'), 'n1');
    await issue(join(folder, 'theirs'), 'n2');
    expect(await handshake(join(folder, 'n1'), join(folder, 'n2'))).toMatch(/^refused: /);
    expect(await handshake(join(folder, 'n2'), join(folder, 'n1'))).toMatch(/^refused: /);
    expect(await handshake(join(folder, 'n1'), join(folder, 'n1'))).toMatch(/^DNS:n1/);
  });
});

test('another manager gets a coordinator of its own, whom the same agents obey', async () => {
  await init(folder);
  await issue(folder, 'n1');
  const outDirectory = join(folder, 'n2-coordinator');
  await issueForCoordinator(folder, { outDirectory, days: 1, now: new Date() });
  expect(await handshake(join(folder, 'n1'), outDirectory)).toBe('DNS:coordinator, URI:swarmcut://coordinator');
  const [first, second] = [coordinatorIdentityDirectory(folder), outDirectory].map(
    (at) => new X509Certificate(readFileSync(identityFiles(at).certificate)),
  );
  expect(second?.subjectAltName).toBe(first?.subjectAltName);
  expect(second?.publicKey.equals(first?.publicKey ?? second.publicKey)).toBe(false);
  expect(statSync(identityFiles(outDirectory).key).mode & 0o777).toBe(0o600);
});

describe('certificates', () => {
  test('carry the names of the node and end with their authority', async () => {
    await init(folder);
    await issue(folder, 'n1', ['10.0.0.11', 'fd00::11'], 1000);
    const certificate = new X509Certificate(readFileSync(identityFiles(join(folder, 'n1')).certificate));
    const authority = new X509Certificate(readFileSync(authorityFiles(folder).certificate));
    expect(certificate.subjectAltName).toBe(
      'DNS:n1, IP Address:10.0.0.11, IP Address:FD00:0:0:0:0:0:0:11, URI:swarmcut://agent/n1',
    );
    expect(certificate.checkIssued(authority)).toBe(true);
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(authority.ca).toBe(true);
    expect(certificate.validTo).toBe(authority.validTo);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  });

  test('keys are for the owner only', async () => {
    await init(folder);
    await issue(folder, 'n1');
    for (const key of [authorityFiles(folder).key, identityFiles(join(folder, 'n1')).key]) {
      expect(statSync(key).mode & 0o777).toBe(0o600);
    }
    expect(statSync(join(folder, 'ca')).mode & 0o777).toBe(0o700);
  });
});

describe('the key of the stacks', () => {
  const made = (): string => join(folder, 'ca', 'stack.key');
  const issuedTo = (node: string): Buffer => readFileSync(join(folder, node, 'stack.key'));

  test('is the same on all nodes, and for the owner only', async () => {
    await init(folder);
    await issue(folder, 'n1');
    await issue(folder, 'n2');
    expect(readFileSync(made())).toHaveLength(32);
    expect(issuedTo('n1')).toEqual(readFileSync(made()));
    expect(issuedTo('n2')).toEqual(readFileSync(made()));
    for (const file of [made(), join(folder, 'n1', 'stack.key')]) expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('is made for an authority that is older than it, once, also by two commands at the same time', async () => {
    await init(folder);
    const first = readFileSync(made());
    rmSync(made());
    await Promise.all([issue(folder, 'n1'), issue(folder, 'n2')]);
    expect(issuedTo('n1')).not.toEqual(first);
    expect(issuedTo('n1')).toEqual(issuedTo('n2'));
    expect(readdirSync(join(folder, 'ca')).sort()).toEqual(['ca.crt', 'ca.key', 'issued.jsonl', 'stack.key']);
  });

  test('is new with a new authority', async () => {
    await init(folder);
    const first = readFileSync(made());
    await init(folder, true);
    expect(readFileSync(made())).not.toEqual(first);
    writeFileSync(made(), 'short');
    await expect(issue(folder, 'n1')).rejects.toMatchObject({ code: 'damaged' });
  });
});

describe('refusals', () => {
  test('a second authority needs --force, and the first stays untouched', async () => {
    await init(folder);
    const before = readFileSync(authorityFiles(folder).key, 'utf8');
    await expect(init(folder)).rejects.toMatchObject({ code: 'conflict' });
    expect(readFileSync(authorityFiles(folder).key, 'utf8')).toBe(before);
    await init(folder, true);
    expect(readFileSync(authorityFiles(folder).key, 'utf8')).not.toBe(before);
  });

  test('no authority, a damaged one, bad names and addresses', async () => {
    await expect(issue(folder, 'n1')).rejects.toMatchObject({ code: 'not-found' });
    await init(folder);
    await expect(issue(folder, '../n1')).rejects.toMatchObject({ code: 'usage' });
    await expect(issue(folder, 'n1', ['10.0.0'])).rejects.toMatchObject({ code: 'usage' });
    writeFileSync(authorityFiles(folder).key, 'garbage');
    await expect(issue(folder, 'n1')).rejects.toMatchObject({ code: 'damaged' });
  });
});
