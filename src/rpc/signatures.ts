import { createPrivateKey, sign, verify, X509Certificate } from 'node:crypto';
import { messageOf } from '../model/errors.ts';
import { issuerIn, serialOf } from './identity/authorities.ts';
import { readKeyPair, readTrust } from './identity/identity-files.ts';
import { peerOf, peerText } from './roles.ts';

/** What is signed. A signature for one purpose is worth nothing for another, nor is one that was made in TLS. */
export type SignedThing = 'manifest' | 'fetch-ticket' | 'removal';

/** A signature over some bytes, and who made it. */
export interface Signature {
  /** Of the signer, PEM. */
  readonly certificate: string;
  /** ECDSA over SHA-256, DER. */
  readonly signature: Uint8Array;
}

function toBeSigned(thing: SignedThing, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`swarmcut ${thing} v1\0`), bytes]);
}

/** Signs with the key of an identity's folder, which is read when it is first needed. */
export class Signer {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws SwarmcutError `precondition` when the identity cannot be read */
  sign(thing: SignedThing, bytes: Uint8Array): Signature {
    const { certificate, key } = readKeyPair(this.#folder);
    const signature = sign('sha256', toBeSigned(thing, bytes), createPrivateKey(key));
    return { certificate: certificate.toString('utf8'), signature };
  }
}

/** Whom to believe: the authorities of an identity's folder, as they are there now. Former ones vouch for manifests only. */
export class SignatureCheck {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Why these bytes are not signed by a coordinator of this authority; undefined if they are.
   * @param now refuses a signer whose certificate has expired; without it, what was once signed stays so
   * @throws SwarmcutError `precondition` when the authority's certificate cannot be read
   */
  problem(thing: SignedThing, bytes: Uint8Array, signature: Signature, now?: Date): string | undefined {
    const { trusted, retired, revoked } = readTrust(this.#folder);
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(signature.certificate);
    } catch (error) {
      return `the signer's certificate cannot be read: ${messageOf(error)}`;
    }
    if (!issuerIn(thing === 'manifest' ? trusted + retired : trusted, certificate))
      return 'the signer has a certificate of another authority';
    const { subjectAltName, validToDate } = certificate;
    const signer = peerOf(subjectAltName === undefined ? undefined : { subjectaltname: subjectAltName });
    if (signer.role !== 'coordinator') return `it was signed by ${peerText(signer)}, not by a coordinator`;
    if (revoked.includes(serialOf(certificate)))
      return `the signer's certificate (serial number ${serialOf(certificate)}) was revoked`;
    if (now !== undefined && validToDate < now)
      return `the signer's certificate expired at ${validToDate.toISOString()}`;
    const matches = verify('sha256', toBeSigned(thing, bytes), certificate.publicKey, signature.signature);
    return matches ? undefined : 'the signature does not match';
  }
}
