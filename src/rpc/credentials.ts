import { checkServerIdentity } from 'node:tls';
import type { PeerCertificate } from 'node:tls';
import { credentials, experimental, ServerCredentials } from '@grpc/grpc-js';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { readIdentityFile, readKeyPair, readRevoked } from './identity/identity-files.ts';
import { Revocations } from './identity/revocations.ts';

/** What a process shows and whom it believes: PEM. */
export interface KeyMaterial {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
}

function read(folder: string): KeyMaterial {
  return { ca: readIdentityFile(folder, 'ca'), ...readKeyPair(folder) };
}

/** TLS for an agent's server: only peers with a certificate of the same authority get through. There is no other mode. */
export function serverCredentials(folder: string): ServerCredentials {
  const { ca, certificate, key } = read(folder);
  return ServerCredentials.createSsl(ca, [{ cert_chain: certificate, private_key: key }], true);
}

/** TLS for a caller of agents. @param revocations servers that are not talked to; default: those that the folder names now */
export function clientCredentials(
  folder: string,
  revocations: Revocations = new Revocations(readRevoked(folder)),
): ChannelCredentials {
  const { ca, certificate, key } = read(folder);
  return credentials.createSsl(ca, key, certificate, {
    checkServerIdentity: (host: string, shown: PeerCertificate) => {
      const problem = revocations.problem(shown);
      return problem === undefined ? checkServerIdentity(host, shown) : new Error(problem);
    },
  });
}

type Provider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0];
type AuthorityListener = Parameters<Provider['addCaCertificateListener']>[0];
type OwnListener = Parameters<Provider['addIdentityCertificateListener']>[0];

/**
 * The identity of a process that runs for long: what it trusts and which certificate it shows can be replaced on the disk, and taken over by {@link reload}.
 * Connections that there are go on; new ones are made as the files say.
 */
export class LiveIdentity {
  readonly folder: string;
  readonly revocations: Revocations;
  #material: KeyMaterial;
  readonly #authorityListeners = new Set<AuthorityListener>();
  readonly #ownListeners = new Set<OwnListener>();
  readonly #reloadListeners = new Set<() => void>();

  /** @throws SwarmcutError `precondition`, `damaged` when the files cannot be read */
  constructor(folder: string) {
    this.folder = folder;
    this.#material = read(folder);
    this.revocations = new Revocations(readRevoked(folder));
  }

  /** Takes over what lies in the folder. @throws as the constructor; everything is as before then */
  reload(): void {
    const revoked = readRevoked(this.folder);
    this.#material = read(this.folder);
    for (const listener of this.#authorityListeners) listener(this.#authorities);
    for (const listener of this.#ownListeners) listener(this.#own);
    this.revocations.replace(revoked);
    for (const listener of this.#reloadListeners) listener();
  }

  /** For TLS that is not gRPC's. */
  get material(): KeyMaterial {
    return this.#material;
  }

  /** @param listener told when {@link material} has been replaced @returns to be called when it is not wanted any more */
  onReload(listener: () => void): () => void {
    this.#reloadListeners.add(listener);
    return () => void this.#reloadListeners.delete(listener);
  }

  /** For one server. */
  serverCredentials(): ServerCredentials {
    const provider: Provider = {
      // The server looks for the answer only when it has asked.
      addCaCertificateListener: (listener) => {
        this.#authorityListeners.add(listener);
        queueMicrotask(() => listener(this.#authorities));
      },
      removeCaCertificateListener: (listener) => void this.#authorityListeners.delete(listener),
      addIdentityCertificateListener: (listener) => {
        this.#ownListeners.add(listener);
        queueMicrotask(() => listener(this.#own));
      },
      removeIdentityCertificateListener: (listener) => void this.#ownListeners.delete(listener),
    };
    return experimental.createCertificateProviderServerCredentials(provider, provider, true);
  }

  /** For connections that are made from now on. */
  clientCredentials(): ChannelCredentials {
    return clientCredentials(this.folder, this.revocations);
  }

  get #authorities(): { caCertificate: Buffer } {
    return { caCertificate: this.#material.ca };
  }

  get #own(): { certificate: Buffer; privateKey: Buffer } {
    return { certificate: this.#material.certificate, privateKey: this.#material.key };
  }
}
