import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { credentials, ServerCredentials } from '@grpc/grpc-js';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { SwarmcutError, messageOf } from '../model/errors.ts';

/** File names in the folder with a process's certificate. */
export const CERTIFICATE_FILES = { ca: 'ca.crt', certificate: 'tls.crt', key: 'tls.key' } as const;

interface KeyMaterial {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
}

function read(folder: string): KeyMaterial {
  const file = (name: string): Buffer => {
    const path = join(folder, name);
    try {
      return readFileSync(path);
    } catch (error) {
      throw new SwarmcutError('precondition', `cannot read ${path}: ${messageOf(error)}`, {
        where: { file: path },
        advice: 'Run `coordinator ca init`, and `coordinator ca issue <node>` for each node, and copy the files there.',
        cause: error,
      });
    }
  };
  return {
    ca: file(CERTIFICATE_FILES.ca),
    certificate: file(CERTIFICATE_FILES.certificate),
    key: file(CERTIFICATE_FILES.key),
  };
}

/** TLS for an agent's server: only peers with a certificate of the same authority get through. There is no other mode. */
export function serverCredentials(folder: string): ServerCredentials {
  const { ca, certificate, key } = read(folder);
  return ServerCredentials.createSsl(ca, [{ cert_chain: certificate, private_key: key }], true);
}

/** TLS for a caller of agents. */
export function clientCredentials(folder: string): ChannelCredentials {
  const { ca, certificate, key } = read(folder);
  return credentials.createSsl(ca, key, certificate);
}
