import type { Algorithm } from '../contract.ts';
import { KernelParticipant } from './kernel-participant.ts';
import { TwoPhaseRound } from './two-phase-round.ts';

/**
 * Blocking two-phase checkpointing after Koo & Toueg 1987 ("Checkpointing and rollback-recovery for distributed systems", section 3),
 * with all processes of the stack as participants: block all, freeze all, dump all, release all.
 */
export const sync: Algorithm = {
  name: 'sync',
  interceptor: 'kernel',
  participant: (options) => new KernelParticipant(options, { waitsForRelease: true }),
  round: (options) => new TwoPhaseRound(options, { releaseTogether: true }),
};
