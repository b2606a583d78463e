import { judge, type PreflightCheck } from './checks.ts';
import { probe, type NodeFacts, type ProbeOptions } from './facts.ts';

export { judgePeers, neededCriu, type PreflightCheck } from './checks.ts';
export { type NodeFacts } from './facts.ts';

export interface Preflight {
  readonly facts: NodeFacts;
  readonly checks: readonly PreflightCheck[];
}

/** Looks at this node and judges whether snapshots and restores will work on it. Changes nothing; takes about half a second. */
export async function preflight(options: ProbeOptions): Promise<Preflight> {
  const facts = await probe(options);
  return { facts, checks: judge(facts) };
}
