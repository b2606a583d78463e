import type { PeerCertificate } from 'node:tls';

/** Who is at the other end of a connection, as its verified certificate says. */
export type Peer =
  { readonly role: 'coordinator' } | { readonly role: 'agent'; readonly node: string } | { readonly role: 'unknown' };

const COORDINATOR_URI = 'swarmcut://coordinator';
const AGENT_URI = 'swarmcut://agent/';

/** The URI that `coordinator ca` writes into a certificate's subject alternative names. */
export function roleUri(peer: Exclude<Peer, { role: 'unknown' }>): string {
  return peer.role === 'coordinator' ? COORDINATOR_URI : `${AGENT_URI}${peer.node}`;
}

/**
 * Reads the role from a certificate that the TLS layer has already verified. Only URIs count: names and addresses say where a
 * peer may be found, not what it may do.
 */
export function peerOf(certificate: Pick<PeerCertificate, 'subjectaltname'> | undefined): Peer {
  for (const name of alternativeNames(certificate?.subjectaltname ?? '')) {
    if (name === `URI:${COORDINATOR_URI}`) return { role: 'coordinator' };
    if (name.startsWith(`URI:${AGENT_URI}`)) return { role: 'agent', node: name.slice(`URI:${AGENT_URI}`.length) };
  }
  return { role: 'unknown' };
}

/**
 * Node writes names with awkward characters as JSON strings (`URI:"…"`, CVE-2021-44532), so that a comma in one name cannot pose
 * as another. A role never has such characters: quoted names are left out.
 */
function alternativeNames(text: string): string[] {
  return text
    .replaceAll(/[A-Za-z ]+:"(?:[^"\\]|\\.)*"/g, '')
    .split(', ')
    .filter((name) => name !== '');
}

export function peerText(peer: Peer): string {
  return peer.role === 'agent' ? `the agent of node ${peer.node}` : `a peer with role ${peer.role}`;
}
