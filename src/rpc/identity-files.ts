import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SwarmcutError, messageOf } from '../model/errors.ts';

/** File names in the folder with a process's certificate. */
export const CERTIFICATE_FILES = { ca: 'ca.crt', certificate: 'tls.crt', key: 'tls.key' } as const;

/** One file of an identity. @throws SwarmcutError `precondition` when it cannot be read */
export function readIdentityFile(folder: string, which: keyof typeof CERTIFICATE_FILES): Buffer {
  const path = join(folder, CERTIFICATE_FILES[which]);
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SwarmcutError('precondition', `cannot read ${path}: ${messageOf(error)}`, {
      where: { file: path },
      advice: 'Run `coordinator ca init`, and `coordinator ca issue <node>` for each node, and copy the files there.',
      cause: error,
    });
  }
}
