import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

type Names = ConstructorParameters<typeof x509.SubjectAlternativeNameExtension>[0];

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
x509.cryptoProvider.set(webcrypto);

/** A certificate authority in a temporary folder, for tests that speak real TLS. */
export interface TestAuthority {
  /**
   * Issues a certificate for these names and says in which folder it lies, as `serverCredentials` wants it.
   * @param notAfter default: tomorrow
   */
  issue(folder: string, names: Names, notAfter?: Date): Promise<string>;
  agent(node: string, notAfter?: Date): Promise<string>;
  coordinator(notAfter?: Date): Promise<string>;
  remove(): void;
}

export async function testAuthority(): Promise<TestAuthority> {
  const base = mkdtempSync(join(tmpdir(), 'swarmcut-tls-'));
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const validity = { notBefore: new Date(Date.now() - 86_400_000), notAfter: new Date(Date.now() + 86_400_000) };
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=swarmcut test',
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    ...validity,
  });
  let made = 0;
  const issue = async (name: string, names: Names, notAfter = validity.notAfter): Promise<string> => {
    const own = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.create({
      subject: `CN=${name}`,
      issuer: ca.subject,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [new x509.SubjectAlternativeNameExtension(names)],
      ...validity,
      notAfter,
    });
    const folder = join(base, `${name}-${(made += 1)}`);
    mkdirSync(folder);
    const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', own.privateKey)).toString('base64');
    writeFileSync(join(folder, 'ca.crt'), ca.toString('pem'));
    writeFileSync(join(folder, 'tls.crt'), certificate.toString('pem'));
    writeFileSync(join(folder, 'tls.key'), `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`);
    return folder;
  };
  return {
    issue,
    agent: (node, notAfter) =>
      issue(
        node,
        [
          { type: 'dns', value: node },
          { type: 'ip', value: '127.0.0.1' },
          { type: 'url', value: `swarmcut://agent/${node}` },
        ],
        notAfter,
      ),
    coordinator: (notAfter) =>
      issue(
        'coordinator',
        [
          { type: 'dns', value: 'coordinator' },
          { type: 'url', value: 'swarmcut://coordinator' },
        ],
        notAfter,
      ),
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}
