import { serialOf } from './authorities.ts';
import { peerOf, peerText } from '../roles.ts';

/** What of a peer's certificate is looked at. */
interface Shown {
  readonly serialNumber: string;
  readonly subjectaltname?: string;
}

/** The certificates that count no more, in a process that may learn of others while it runs. */
export class Revocations {
  #serials: ReadonlySet<string>;
  readonly #listeners = new Set<() => void>();

  constructor(serials: readonly string[] = []) {
    this.#serials = new Set(serials.map((serialNumber) => serialOf({ serialNumber })));
  }

  /** Why this certificate counts no more; undefined if it does. */
  problem(certificate: Shown): string | undefined {
    const serial = serialOf(certificate);
    if (!this.#serials.has(serial)) return undefined;
    const { subjectaltname } = certificate;
    const peer = peerText(peerOf(subjectaltname === undefined ? undefined : { subjectaltname }));
    return `the certificate of ${peer} (serial number ${serial}) was revoked`;
  }

  /** From now on these, and no others. */
  replace(serials: readonly string[]): void {
    this.#serials = new Set(serials.map((serialNumber) => serialOf({ serialNumber })));
    for (const listener of this.#listeners) listener();
  }

  /** @returns to be called when it is not wanted any more */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
