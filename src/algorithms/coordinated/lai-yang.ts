import type { Algorithm } from '../contract.ts';
import { KernelParticipant } from './kernel-participant.ts';
import { TwoPhaseRound } from './two-phase-round.ts';

/**
 * Lai & Yang 1987, "On distributed snapshots", section 3: messages carry the sender's colour, no markers. Coordinated and
 * non-blocking: a process runs on as soon as its own checkpoint is saved.
 */
export const laiYang: Algorithm = {
  name: 'lai-yang',
  interceptor: 'kernel',
  participant: (options) => new KernelParticipant(options, { waitsForRelease: false }),
  round: (options) => new TwoPhaseRound(options, { releaseTogether: false }),
};
