// The library's dependency injection reads decorators' metadata when it is loaded: the polyfill has to be there before.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A new private key, PEM (PKCS #8). */
export async function newPrivateKey(): Promise<string> {
  const { privateKey } = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const der = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  return `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`;
}

/**
 * A request for a certificate (PKCS #10), PEM: proves that who asks has the key. What names the certificate gets is for the one who issues it to say.
 * @throws the library's error when the key cannot be read
 */
export async function certificateRequest(keyPem: string): Promise<string> {
  const privateDer = x509.PemConverter.decodeFirst(keyPem);
  const privateKey = await webcrypto.subtle.importKey('pkcs8', privateDer, ALGORITHM, true, ['sign']);
  const { d: _, key_ops: __, ...jwk } = await webcrypto.subtle.exportKey('jwk', privateKey);
  const publicKey = await webcrypto.subtle.importKey('jwk', jwk, ALGORITHM, true, ['verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    { name: [{ O: ['swarmcut'] }], keys: { privateKey, publicKey }, signingAlgorithm: ALGORITHM },
    webcrypto,
  );
  return `${request.toString('pem')}\n`;
}

/** The public key of a request whose signature holds. @returns undefined for anything else */
export async function requestedKey(requestPem: string): Promise<webcrypto.CryptoKey | undefined> {
  try {
    const request = new x509.Pkcs10CertificateRequest(requestPem);
    if (!(await request.verify(webcrypto))) return undefined;
    return (await request.publicKey.export(ALGORITHM, ['verify'], webcrypto)) as webcrypto.CryptoKey;
  } catch {
    return undefined;
  }
}
