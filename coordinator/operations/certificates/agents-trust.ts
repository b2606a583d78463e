import { X509Certificate } from 'node:crypto';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { digestOf, issuerIn, pemBundle, pemCertificates, serialOf } from '../../../src/rpc/identity/authorities.ts';
import type { Trust } from '../../../src/rpc/identity/identity-files.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { Authority } from './authority.ts';

/** Sees to it that an agent trusts what it should. @returns whether something was changed */
export async function bringTrust(
  agent: Pick<AgentClient, 'identity' | 'trust'>,
  trust: Trust,
  signal: AbortSignal,
): Promise<boolean> {
  if (sameTrust(await agent.identity({}, { signal }), trust)) return false;
  const { trusted, retired, revoked } = trust;
  await agent.trust({ trusted, retired, revoked: [...revoked] }, { signal });
  return true;
}

/** Sees to it that an agent has a certificate of an authority. @returns whether it got one now */
export async function bringCertificate(
  agent: AgentClient,
  newAuthority: string,
  authority: Pick<Authority, 'issue'>,
  signal: AbortSignal,
): Promise<boolean> {
  const { certificate } = await agent.identity({}, { signal });
  const present = new X509Certificate(certificate);
  if (issuerIn(newAuthority, present)) return false;
  const { request } = await agent.requestCertificate({}, { signal });
  const issued = await authority.issue({ role: 'agent', node: agent.node, addresses: addressesOf(present) }, request);
  await agent.installCertificate({ certificate: issued }, { signal });
  return true;
}

/** The addresses that a certificate is good for. */
function addressesOf({ subjectAltName }: X509Certificate): string[] {
  return [...(subjectAltName ?? '').matchAll(/IP Address:([0-9a-fA-F.:]+)/g)].map(([, address]) => address ?? '');
}

function sameTrust(one: Trust, other: Trust): boolean {
  const text = ({ trusted, retired, revoked }: Trust): string =>
    JSON.stringify([digests(trusted), digests(retired), [...revoked].sort()]);
  return text(one) === text(other);
}

function digests(bundle: string): string[] {
  return pemCertificates(bundle).map(digestOf).sort();
}

/** An agent as it is trusted and trusts. */
export interface AgentCertificate {
  readonly node: string;
  readonly serial: string;
  /** ISO 8601. */
  readonly notAfter: string;
  /** Digest of the authority that issued it, as far as that is known here. */
  readonly authority: string | undefined;
  /** Digests of the authorities that it trusts. */
  readonly trusted: readonly string[];
  readonly revoked: number;
}

/** @param known authorities, PEM */
export async function lookAt(
  agent: Pick<AgentClient, 'node' | 'identity'>,
  known: string,
  signal: AbortSignal,
): Promise<AgentCertificate> {
  const { certificate, trusted, revoked } = await agent.identity({}, { signal });
  const own = new X509Certificate(certificate);
  const issuer = pemCertificates(pemBundle(known, trusted)).find((pem) => issuerIn(pem, own));
  return {
    node: agent.node,
    serial: serialOf(own),
    notAfter: own.validToDate.toISOString(),
    authority: issuer === undefined ? undefined : digestOf(issuer),
    trusted: digests(trusted),
    revoked: revoked.length,
  };
}

/** Does something with each agent, whatever happens with the others. @returns why it could not be done, by node */
export async function withEach(
  agents: readonly AgentClient[],
  work: (agent: AgentClient) => Promise<void>,
): Promise<ReadonlyMap<string, string>> {
  const failed = new Map<string, string>();
  await Promise.all(
    agents.map(async (agent) => {
      try {
        await work(agent);
      } catch (error) {
        if (!(error instanceof SwarmcutError) || error.code === 'interrupted') throw error;
        failed.set(agent.node, messageOf(error));
      }
    }),
  );
  return failed;
}
