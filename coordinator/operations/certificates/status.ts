import { messageOf } from '../../../src/model/errors.ts';
import { digestOf } from '../../../src/rpc/identity/authorities.ts';
import { Agents } from '../session/agents.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { lookAt, type AgentCertificate } from './agents-trust.ts';
import type { Authority, RotationState } from './authority.ts';

export interface CertificatesReport {
  /** Digest of the authority that issues now. */
  readonly authority: string;
  readonly rotation: (Pick<RotationState, 'phase' | 'startedAt'> & { readonly to: string }) | undefined;
  /** Digests of former authorities that still vouch for manifests. */
  readonly retired: number;
  readonly revoked: readonly string[];
  readonly nodes: readonly (AgentCertificate | { readonly node: string; readonly error: string })[];
}

/** What everybody shows and trusts. No effect. */
export async function certificatesOf(ctx: CoordinatorContext, authority: Authority): Promise<CertificatesReport> {
  const [certificate, rotation, trust, nodes] = await Promise.all([
    authority.certificate(),
    authority.rotation(),
    authority.trust(),
    ctx.cluster.nodes(),
  ]);
  using agents = new Agents(nodes, ctx.directories.config);
  return {
    authority: digestOf(certificate),
    rotation:
      rotation === undefined
        ? undefined
        : { phase: rotation.phase, startedAt: rotation.startedAt, to: digestOf(rotation.newCertificate) },
    retired: trust.retired.split('BEGIN CERTIFICATE').length - 1,
    revoked: trust.revoked,
    nodes: await Promise.all(
      nodes
        .toSorted((a, b) => a.hostname.localeCompare(b.hostname))
        .map(({ hostname }) =>
          lookAt(agents.of(hostname), trust.trusted, ctx.signal).catch((error: unknown) => ({
            node: hostname,
            error: messageOf(error),
          })),
        ),
    ),
  };
}
