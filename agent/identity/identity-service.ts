import { X509Certificate, createPrivateKey } from 'node:crypto';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import type { Logger } from '../../src/platform/logger.ts';
import { issuerIn, pemBundle, pemCertificates, serialOf } from '../../src/rpc/identity/authorities.ts';
import {
  readKeyPair,
  readNextKey,
  readTrust,
  writeNextCertificate,
  writeNextKey,
  writeTrust,
  type Trust,
} from '../../src/rpc/identity/identity-files.ts';
import { peerOf, peerText, type LiveIdentity } from '../../src/rpc/index.ts';

export interface IdentityServiceOptions {
  readonly identity: LiveIdentity;
  readonly node: string;
  /** What this agent trusts, or shows, has changed: connections of its own should be made anew. */
  readonly changed: () => void;
  readonly log: Logger;
}

/** Lets the coordinator replace this agent's certificate, and what it trusts, while it runs. Its keys never leave it. */
export class IdentityService {
  readonly #options: IdentityServiceOptions;
  /** One change after another. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: IdentityServiceOptions) {
    this.#options = options;
  }

  identity(): { certificate: string; trusted: string; retired: string; revoked: string[] } {
    const { folder } = this.#options.identity;
    const { revoked, ...trust } = readTrust(folder);
    return { certificate: readKeyPair(folder).certificate.toString('utf8'), ...trust, revoked: [...revoked] };
  }

  /** @throws SwarmcutError `usage` when nobody would be trusted, our own certificate included */
  trust(trust: Trust): Promise<void> {
    return this.#serially(async () => {
      const { folder } = this.#options.identity;
      const own = new X509Certificate(readKeyPair(folder).certificate);
      for (const pem of pemCertificates(trust.trusted + trust.retired)) certificateOf(pem);
      if (!issuerIn(trust.trusted, own))
        throw new SwarmcutError(
          'precondition',
          "the authority of this agent's own certificate would not be trusted any more",
          { advice: 'give it a certificate of another one first: `coordinator ca rotate` does all that' },
        );
      const [trusted, retired] = [pemBundle(trust.trusted), pemBundle(trust.retired)];
      await writeTrust(folder, { ...trust, trusted, retired });
      this.#takeOver('what is trusted has changed');
    });
  }

  /** @returns a request for a certificate, PEM */
  request(): Promise<string> {
    return this.#serially(async () => {
      const { folder } = this.#options.identity;
      // Loaded here: no other call needs the library, which is large.
      const { certificateRequest, newPrivateKey } = await import('../../src/rpc/identity/certificate-request.ts');
      const known = readNextKey(folder)?.toString('utf8');
      const key = known ?? (await newPrivateKey());
      if (known === undefined) await writeNextKey(folder, key);
      return certificateRequest(key);
    });
  }

  /** @throws SwarmcutError `precondition` for a certificate that is not for this agent, its key, or of an authority that it does not trust */
  install(pem: string): Promise<void> {
    return this.#serially(async () => {
      const { identity, node } = this.#options;
      const { folder } = identity;
      const certificate = certificateOf(pem);
      const { certificate: present } = readKeyPair(folder);
      const next = readNextKey(folder);
      if (next === undefined && new X509Certificate(present).fingerprint256 === certificate.fingerprint256) return;
      const { subjectAltName } = certificate;
      const peer = peerOf(subjectAltName === undefined ? undefined : { subjectaltname: subjectAltName });
      if (peer.role !== 'agent' || peer.node !== node)
        throw refused(`it is for ${peerText(peer)}, and this is ${node}`);
      if (next === undefined || !certificate.checkPrivateKey(createPrivateKey(next)))
        throw refused('it is not for the key that this agent has made');
      if (!issuerIn(readTrust(folder).trusted, certificate)) throw refused('its authority is not trusted here');
      await writeNextCertificate(folder, pem);
      this.#takeOver(`the certificate is ${serialOf(certificate)} now`);
    });
  }

  #takeOver(what: string): void {
    const { identity, changed, log } = this.#options;
    identity.reload();
    changed();
    log.info({ folder: identity.folder }, what);
  }

  #serially<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

function certificateOf(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new SwarmcutError('usage', `what should be a certificate is none: ${messageOf(error)}`);
  }
}

function refused(why: string): SwarmcutError {
  return new SwarmcutError('precondition', `this certificate is not taken: ${why}`);
}
