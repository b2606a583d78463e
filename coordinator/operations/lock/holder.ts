import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { startOf } from '../../../src/platform/process-start.ts';
import type { ClusterSelf } from '../../orchestrator/index.ts';
import type { LockHolder } from './state.ts';

/** This process, as others are told of it. @param since wall clock, for people */
export function thisHolder(
  self: ClusterSelf,
  work: { readonly command: string; readonly id: string },
  since: Date,
): Omit<LockHolder, 'leaseMs'> {
  return {
    nonce: randomUUID(),
    node: self.hostname,
    nodeId: self.nodeId,
    machine: thisMachine(),
    pid: process.pid,
    started: startOf(process.pid) ?? '',
    ...work,
    since: since.toISOString(),
  };
}

/**
 * Whether a holder was a process of this machine that has ended. Of processes elsewhere nothing is known but whether they renew their lease.
 */
export function hasEndedHere(self: ClusterSelf, holder: LockHolder): boolean {
  if (holder.nodeId !== self.nodeId || holder.machine !== thisMachine()) return false;
  return startOf(holder.pid) !== holder.started;
}

/** The boot, and the pid namespace in which process numbers are meant. */
function thisMachine(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
}
