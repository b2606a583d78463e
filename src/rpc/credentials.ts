import { credentials, ServerCredentials } from '@grpc/grpc-js';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { readIdentityFile } from './identity-files.ts';

interface KeyMaterial {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
}

function read(folder: string): KeyMaterial {
  return {
    ca: readIdentityFile(folder, 'ca'),
    certificate: readIdentityFile(folder, 'certificate'),
    key: readIdentityFile(folder, 'key'),
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
