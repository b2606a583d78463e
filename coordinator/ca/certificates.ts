// The library's dependency injection reads decorators' metadata when it is loaded: the polyfill has to be there before.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const SIGNATURE = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Certificates are valid from a little before now: the clocks of the nodes need not agree to the second. */
const BACKDATE_MS = 60 * 60 * 1000;

/** A certificate and its private key, both PEM. */
export interface Identity {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** Last moment of validity. */
  readonly notAfter: Date;
}

/** A name that a certificate is good for. */
export interface SubjectName {
  readonly type: 'dns' | 'ip' | 'url';
  readonly value: string;
}

/** A new authority: self-signed, may sign certificates and nothing else. */
export async function createAuthority(days: number, now: Date): Promise<Identity> {
  const keys = await newKeys();
  const validity = validityOf(days, now);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: newSerialNumber(),
      name: [{ O: ['swarmcut'] }, { CN: ['swarmcut authority'] }],
      ...validity,
      keys,
      signingAlgorithm: SIGNATURE,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return identityOf(certificate, keys, validity.notAfter);
}

/**
 * A new key with a certificate signed by the authority, for both ends of mutual TLS.
 * @throws an error of the library when the authority's PEM files cannot be read.
 */
export async function issueCertificate(
  authority: Pick<Identity, 'certificatePem' | 'keyPem'>,
  subject: { readonly commonName: string; readonly names: readonly SubjectName[] },
  days: number,
  now: Date,
): Promise<Identity> {
  const keys = await newKeys();
  const certified = await certify(authority, keys.publicKey, subject, days, now);
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { ...certified, keyPem: `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n` };
}

/** A certificate for a key that somebody else has. @throws as {@link issueCertificate} */
export async function certify(
  authority: Pick<Identity, 'certificatePem' | 'keyPem'>,
  publicKey: webcrypto.CryptoKey,
  subject: { readonly commonName: string; readonly names: readonly SubjectName[] },
  days: number,
  now: Date,
): Promise<Omit<Identity, 'keyPem'>> {
  const issuer = new x509.X509Certificate(authority.certificatePem);
  // A certificate that outlives its authority is only refused later and less clearly.
  const validity = validityOf(days, now);
  const notAfter = validity.notAfter < issuer.notAfter ? validity.notAfter : issuer.notAfter;
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: newSerialNumber(),
      subject: [{ O: ['swarmcut'] }, { CN: [subject.commonName] }],
      issuer: issuer.subjectName,
      notBefore: validity.notBefore,
      notAfter,
      publicKey,
      signingKey: await importKey(authority.keyPem),
      signingAlgorithm: SIGNATURE,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([...subject.names]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey, false, webcrypto),
        await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificatePem: `${certificate.toString('pem')}\n`, notAfter };
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(SIGNATURE, true, ['sign', 'verify']);
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = x509.PemConverter.decodeFirst(pem);
  return webcrypto.subtle.importKey('pkcs8', der, SIGNATURE, false, ['sign']);
}

async function identityOf(
  certificate: x509.X509Certificate,
  keys: webcrypto.CryptoKeyPair,
  notAfter: Date,
): Promise<Identity> {
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    keyPem: `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`,
    notAfter,
  };
}

function validityOf(days: number, now: Date): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - BACKDATE_MS), notAfter: new Date(now.getTime() + days * DAY_MS) };
}

/** 128 random bits; the first one is 0 so that the ASN.1 integer is positive, the second 1 so that it is never short. */
function newSerialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}
