import { X509Certificate } from 'node:crypto';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { serialOf } from '../../../src/rpc/identity/authorities.ts';
import { readKeyPair, writeTrust } from '../../../src/rpc/identity/identity-files.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import { Agents } from '../session/agents.ts';
import type { CoordinatorContext } from '../session/context.ts';
import { bringTrust, lookAt, withEach } from './agents-trust.ts';
import type { Authority } from './authority.ts';
import { renewOwnCertificate } from './own-certificate.ts';

export interface RevokeReport {
  readonly name: string;
  /** Serial numbers that count no more from now on. */
  readonly revoked: readonly string[];
  /** They were told, and have ended what was under way for the name. */
  readonly told: readonly string[];
  /** They are told at the next operation that they take part in. */
  readonly unreached: readonly { readonly node: string; readonly error: string }[];
}

/**
 * Makes all certificates of a node, or of the coordinator, worthless at once; the coordinator gets a new one first.
 * @param serials of certificates that were issued elsewhere
 * @throws SwarmcutError `not-found` when no certificate of this name is known
 */
export async function revokeCertificates(
  ctx: CoordinatorContext,
  authority: Authority,
  name: string,
  serials: readonly string[],
): Promise<RevokeReport> {
  const nodes = await ctx.cluster.nodes();
  return authority.exclusively(async () => {
    const trust = await authority.trust();
    const found = new Set([...serials, ...(await authority.issued(name)), ...(await shown(ctx, authority, name))]);
    if (found.size === 0)
      throw new SwarmcutError('not-found', `no certificate of ${name} is known here`, {
        advice: 'give its serial number with --serial: `openssl x509 -noout -serial -in tls.crt` shows it',
      });
    // The old one still counts everywhere, and the new one does already.
    if (name === 'coordinator') await renewOwnCertificate(authority);
    const revoked = [...new Set([...trust.revoked, ...found])];
    await writeTrust(authority.identityFolder, { ...trust, revoked });
    ctx.log.warn({ name, serials: [...found] }, 'certificates were revoked');
    using agents = new Agents(nodes, ctx.directories.config);
    const others = nodes.filter(({ hostname }) => hostname !== name).map(({ hostname }) => agents.of(hostname));
    const failed = await withEach(others, async (agent) => {
      await bringTrust(agent, { ...trust, revoked }, ctx.signal);
    });
    return {
      name,
      revoked: [...found].sort(),
      told: others.map(({ node }) => node).filter((node) => !failed.has(node)),
      unreached: [...failed].map(([node, error]) => ({ node, error })),
    };
  });
}

/** What the node, or we, show now: older versions did not note what they issued. */
async function shown(ctx: CoordinatorContext, authority: Authority, name: string): Promise<string[]> {
  if (name === 'coordinator') return [serialOf(new X509Certificate(readKeyPair(authority.identityFolder).certificate))];
  const nodes = await ctx.cluster.nodes();
  if (!nodes.some(({ hostname }) => hostname === name)) return [];
  using agents = new Agents(nodes, ctx.directories.config);
  return await lookAt(agents.of(name), '', ctx.signal).then(
    ({ serial }) => [serial],
    () => [],
  );
}

/** Tells an agent of certificates that were revoked while it was away. Costs nothing where none ever were. */
export async function tellRevoked(
  agent: Pick<AgentClient, 'identity' | 'trust'>,
  revoked: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (revoked.length === 0) return;
  const { trusted, retired, revoked: known } = await agent.identity({}, { signal });
  const all = [...new Set([...known, ...revoked])];
  if (all.length > known.length) await agent.trust({ trusted, retired, revoked: all }, { signal });
}
