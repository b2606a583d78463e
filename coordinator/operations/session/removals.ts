import { join } from 'node:path';
import { SignatureCheck, Signer } from '../../../src/rpc/index.ts';

/** The coordinator's word that a snapshot was removed, for managers and nodes that are away. */
export interface Removal {
  readonly snapshotId: string;
  readonly signature: Uint8Array;
  readonly certificate: string;
}

/** Signs that a snapshot is removed. @throws SwarmcutError `precondition` when our own identity cannot be read */
export function signRemoval(configDir: string, snapshotId: string): Removal {
  const { signature, certificate } = new Signer(join(configDir, 'coordinator')).sign(
    'removal',
    Buffer.from(snapshotId),
  );
  return { snapshotId, signature, certificate };
}

/** Tells removals that a coordinator of our authority has signed from others: root on one node must not be able to remove what lies on the rest. */
export function removalCheck(configDir: string): (removal: Removal) => boolean {
  const check = new SignatureCheck(join(configDir, 'coordinator'));
  return ({ snapshotId, ...signature }) => check.problem('removal', Buffer.from(snapshotId), signature) === undefined;
}
