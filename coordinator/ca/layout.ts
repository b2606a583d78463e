import { join } from 'node:path';

/** The three files that one end of a connection needs, wherever they lie. */
export interface IdentityFiles {
  /** Certificate of the authority: whom to trust. */
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** Where the authority itself lies: only on the machine that issues certificates. */
export function authorityFiles(configDirectory: string): { certificate: string; key: string } {
  return { certificate: join(configDirectory, 'ca', 'ca.crt'), key: join(configDirectory, 'ca', 'ca.key') };
}

/** What the authority keeps besides its own certificate and key, all in its directory. */
export function authorityRecords(configDirectory: string): {
  readonly issued: string;
  readonly rotation: string;
  readonly nextKey: string;
} {
  const folder = join(configDirectory, 'ca');
  return {
    issued: join(folder, 'issued.jsonl'),
    rotation: join(folder, 'rotation.json'),
    nextKey: join(folder, 'next.key'),
  };
}

/**
 * The secret from which the keys of all stacks come: beside the authority, and with each agent, whose sidecars prove to each other with it
 * that they belong to the same stack (agent/sidecars/stack-key.ts).
 */
export const STACK_KEY_FILE = 'stack.key';
export const STACK_KEY_BYTES = 32;

/** The files of an identity in a directory: `ca.crt`, `tls.crt`, `tls.key`. */
export function identityFiles(directory: string): IdentityFiles {
  return {
    authority: join(directory, 'ca.crt'),
    certificate: join(directory, 'tls.crt'),
    key: join(directory, 'tls.key'),
  };
}

/** The coordinator's own identity. */
export function coordinatorIdentityDirectory(configDirectory: string): string {
  return join(configDirectory, 'coordinator');
}

/** Where an agent looks for its identity, on its own node. */
export const AGENT_IDENTITY_DIRECTORY = '/etc/swarmcut/agent';
