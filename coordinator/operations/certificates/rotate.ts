import { X509Certificate } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { digestOf, issuerIn } from '../../../src/rpc/identity/authorities.ts';
import { readKeyPair, writeTrust } from '../../../src/rpc/identity/identity-files.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import { heldLocks } from '../../../src/storage/held-locks.ts';
import { Agents } from '../session/agents.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { ClusterNode } from '../../orchestrator/index.ts';
import { bringCertificate, bringTrust, withEach } from './agents-trust.ts';
import type { Authority, RotationState } from './authority.ts';
import { renewOwnCertificate } from './own-certificate.ts';

export interface RotateOptions {
  /** Manifests that were signed under the old authority shall count no more. */
  readonly forgetOld: boolean;
  /** Nodes that are left behind: they need certificates by hand. */
  readonly skip: readonly string[];
}

export interface RotateReport {
  /** Digest of the new authority. */
  readonly authority: string;
  /** Nodes whose agents have certificates of it and trust nothing else. */
  readonly nodes: readonly string[];
  readonly skipped: readonly string[];
}

/** How often it is looked whether operations have ended. Milliseconds. */
const LOOK_EVERY_MS = 500;

/**
 * Replaces the authority by a new one, in three phases that all agents must have gone through: trust both, have a certificate of the new one, trust the new one alone. Nobody is ever shown a certificate
 * that it does not trust yet, so nothing has to be restarted. Broken off anywhere, it is gone on with by doing it again.
 * @throws SwarmcutError `unreachable` when an agent does not answer: the rotation stays in its phase, in which everything works; `conflict` when
 *   another command is at it
 */
export async function rotateAuthority(
  ctx: CoordinatorContext,
  authority: Authority,
  options: RotateOptions,
): Promise<RotateReport> {
  const nodes = (await ctx.cluster.nodes()).filter(({ hostname }) => !options.skip.includes(hostname));
  return authority.exclusively(async () => {
    let rotation = await authority.begin({ forgetOld: options.forgetOld });
    ctx.log.info({ phase: rotation.phase, authority: digestOf(rotation.newCertificate) }, 'rotation of the authority');
    if (rotation.phase === 'trust') rotation = await trustBoth(ctx, authority, nodes);
    if (rotation.phase === 'issue') rotation = await issueAll(ctx, authority, nodes, rotation);
    await dropOld(ctx, authority, nodes, rotation);
    return {
      authority: digestOf(rotation.newCertificate),
      nodes: nodes.map(({ hostname }) => hostname).sort(),
      skipped: [...options.skip],
    };
  });
}

async function trustBoth(
  ctx: CoordinatorContext,
  authority: Authority,
  nodes: readonly ClusterNode[],
): Promise<RotationState> {
  const trust = await authority.trust();
  await writeTrust(authority.identityFolder, trust);
  await everyAgent(ctx, nodes, 'trust', 'trust both authorities', async (agent) => {
    await bringTrust(agent, trust, ctx.signal);
  });
  return authority.enterIssuing();
}

async function issueAll(
  ctx: CoordinatorContext,
  authority: Authority,
  nodes: readonly ClusterNode[],
  { newCertificate }: RotationState,
): Promise<RotationState> {
  await earlierHaveEnded(ctx);
  await everyAgent(ctx, nodes, 'issue', 'get a certificate', async (agent) => {
    // Also one that has come to the Swarm since, with a certificate of the old authority.
    await bringTrust(agent, await authority.trust(), ctx.signal);
    await bringCertificate(agent, newCertificate, authority, ctx.signal);
  });
  const own = new X509Certificate(readKeyPair(authority.identityFolder).certificate);
  if (!issuerIn(newCertificate, own)) await renewOwnCertificate(authority);
  return authority.enterDropping();
}

async function dropOld(
  ctx: CoordinatorContext,
  authority: Authority,
  nodes: readonly ClusterNode[],
  { newCertificate }: RotationState,
): Promise<void> {
  await earlierHaveEnded(ctx);
  await everyAgent(ctx, nodes, 'drop', 'get a certificate', async (agent) => {
    await bringCertificate(agent, newCertificate, authority, ctx.signal);
  });
  const trust = await authority.trust();
  await everyAgent(ctx, nodes, 'drop', 'trust the new authority alone', async (agent) => {
    await bringTrust(agent, trust, ctx.signal);
  });
  await writeTrust(authority.identityFolder, trust);
  await authority.end();
}

/**
 * A command that was begun before knows neither what is trusted now nor the new certificates, and may have to connect again: it is waited for. One that begins
 * meanwhile does.
 */
async function earlierHaveEnded({ directories, emit, signal }: CoordinatorContext): Promise<void> {
  const earlier = new Set((await heldLocks(directories.run)).map(({ id }) => id));
  for (let told = false; ; told = true) {
    const held = (await heldLocks(directories.run)).find(({ id }) => earlier.has(id));
    if (held === undefined) return;
    if (!told)
      emit({
        kind: 'information',
        message: `waiting for the ${held.command} of stack ${held.stack} to end (id ${held.id})`,
      });
    await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => {
      throw new SwarmcutError(
        'interrupted',
        'interrupted: the rotation stays in its phase, in which everything works',
        {
          advice: '`coordinator ca rotate` goes on with it',
        },
      );
    });
  }
}

/** @throws SwarmcutError `unreachable`, when it cannot be done with one of them; with all others it has been done */
async function everyAgent(
  ctx: CoordinatorContext,
  nodes: readonly ClusterNode[],
  phase: string,
  step: string,
  work: (agent: AgentClient) => Promise<void>,
): Promise<void> {
  // Connections as they are made now: what we trust and show has changed since the last phase.
  using agents = new Agents(nodes, ctx.directories.config);
  const failed = await withEach(
    nodes.map(({ hostname }) => agents.of(hostname)),
    async (agent) => {
      ctx.emit({ kind: 'step-begun', node: agent.node, step });
      await work(agent);
      ctx.emit({ kind: 'step-done', node: agent.node, step, detail: undefined });
    },
  );
  const [first] = failed;
  if (first === undefined) return;
  const [node, reason] = first;
  throw new SwarmcutError(
    'unreachable',
    `the rotation stays in phase ${phase}: ${[...failed.keys()].sort().join(', ')} could not ${step}: ${reason}`,
    {
      where: { node },
      advice:
        'everything works meanwhile; `coordinator ca rotate` goes on when the node answers, or with --skip NODE if it never will',
    },
  );
}
