import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { endpointOf } from '../model/connection.ts';
import { SwarmcutError } from '../model/errors.ts';
import { pemCertificates } from './identity/authorities.ts';
import { CERTIFICATE_FILES } from './identity/identity-files.ts';
import type { CallPlace } from './status.ts';

/** For a look at a certificate that was just refused. */
const LOOK_TIMEOUT_MS = 2_000;

/**
 * When the certificate in an identity's folder, or that of its authority, ends or has ended, whichever comes first, and its file.
 * @throws the system's error, or that of X509Certificate, when a file cannot be read
 */
export function validUntil(folder: string): { readonly file: string; readonly until: Date } {
  const own = join(folder, CERTIFICATE_FILES.certificate);
  const until = new Date(new X509Certificate(readFileSync(own)).validTo);
  const authority = join(folder, CERTIFICATE_FILES.ca);
  // Of several authorities, the last one to end counts: any may have issued it.
  const ends = pemCertificates(readFileSync(authority, 'utf8')).map((pem) =>
    Date.parse(new X509Certificate(pem).validTo),
  );
  const end = new Date(Math.max(...ends));
  return end < until ? { file: authority, until: end } : { file: own, until };
}

/**
 * An own certificate that has expired is refused by every agent, each with words of its own: it is better told before.
 * @throws SwarmcutError `precondition` when the coordinator's certificate in this folder, or that of its authority, has expired
 */
export function assertOwnCertificateValid(folder: string, now: Date): void {
  const { file, until } = validUntil(folder);
  if (until > now) return;
  const ofAuthority = file.endsWith(CERTIFICATE_FILES.ca);
  const whose = ofAuthority ? 'the certificate of our authority' : 'our own certificate';
  throw new SwarmcutError('precondition', `${whose} expired at ${until.toISOString()}`, {
    where: { file },
    advice: ofAuthority ? RENEW_ALL : 'renew it: `coordinator ca renew`',
  });
}

const RENEW_ALL =
  'make the authority and all certificates anew: `coordinator ca init --force`, then `coordinator ca issue <node>` for each node';

/**
 * The error for an agent whose certificate has expired, or undefined when that is not why it could not be talked to.
 * @param now what "expired" is measured by
 */
export async function expiredError(place: CallPlace, cause: Error, now: Date): Promise<SwarmcutError | undefined> {
  const until = await lookAtCertificate(place).catch(() => undefined);
  if (until === undefined || until > now) return undefined;
  const { node, address } = place;
  return new SwarmcutError(
    'unreachable',
    `the certificate of the agent of node ${node} (${address}) expired at ${until.toISOString()}`,
    {
      where: { node },
      advice: `renew it: \`coordinator ca issue ${node}\`, copy the files to /etc/swarmcut/agent on the node, then \`systemctl restart swarmcut-agent\` there`,
      cause,
    },
  );
}

/** When the certificate that is shown at this address ends. It is only looked at: nothing is sent, and nobody is trusted. */
function lookAtCertificate({ node, address }: CallPlace): Promise<Date | undefined> {
  const { address: host, port } = endpointOf(address);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      rejectUnauthorized: false,
      ...(isIP(node) === 0 ? { servername: node } : {}),
    });
    socket.setTimeout(LOOK_TIMEOUT_MS, () => socket.destroy(new Error('no certificate came in time')));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const text = socket.getPeerX509Certificate()?.validTo;
      resolve(text === undefined ? undefined : new Date(text));
      // The agent will say that it wants to see a certificate of ours.
      socket.on('error', () => undefined).destroy();
    });
  });
}
