import type { Trust } from '../../../src/rpc/identity/identity-files.ts';

/** Where a rotation stands: coordinator/ca/rotation.ts. */
export interface RotationState {
  readonly phase: 'trust' | 'issue' | 'drop';
  /** PEM. */
  readonly oldCertificate: string;
  readonly newCertificate: string;
  /** ISO 8601. */
  readonly startedAt: string;
}

/** The certificate authority on this machine, as far as operations need it. */
export interface Authority {
  /** The folder with the coordinator's own certificate. */
  readonly identityFolder: string;
  /** Runs one change at a time. @throws SwarmcutError `conflict` when another command is at it */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result>;
  /** PEM. @throws SwarmcutError `not-found` when there is none on this machine */
  certificate(): Promise<string>;
  rotation(): Promise<RotationState | undefined>;
  /** Makes the new authority; one that is being rotated to is gone on with. */
  begin(options: { readonly forgetOld: boolean }): Promise<RotationState>;
  /** All trust both. */
  enterIssuing(): Promise<RotationState>;
  /** All have new certificates: the new authority takes the old one's place. */
  enterDropping(): Promise<RotationState>;
  end(): Promise<void>;
  /** Whom everybody is to trust now. */
  trust(): Promise<Trust>;
  /** @param request PEM @returns a certificate of the authority that issues now, PEM */
  issue(
    whom: { role: 'coordinator' } | { role: 'agent'; node: string; addresses: readonly string[] },
    request: string,
  ): Promise<string>;
  /** Serial numbers of all certificates that were issued for a node, or for `coordinator`, as far as they were noted. */
  issued(name: string): Promise<readonly string[]>;
}
