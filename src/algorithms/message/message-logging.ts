import { LoggingParticipant } from './logging-participant.ts';
import type { MessageAlgorithm } from './contract.ts';

/**
 * Pessimistic logging (Elnozahy et al. 2002, section 4.1), as in MPICH-V2 (Bouteiller et al. 2003): contents stay with the sender, and nothing
 * is sent until the determinants of all events before it are stable. Only the crashed process goes back; nobody is ever an orphan.
 */
export const pessimisticLog: MessageAlgorithm = {
  name: 'pessimistic-log',
  recovery: 'replay',
  orphanFree: true,
  logging: 'eager',
  participant: (process) =>
    new LoggingParticipant(process, { holdsSends: true, carriesVector: false, carriesDeterminants: false }),
};

/**
 * Optimistic logging (Strom & Yemini 1985; Elnozahy et al. 2002, section 4.2): determinants are written later, a dependency vector rides on every
 * message, and whoever depends on a lost state goes back too.
 */
export const optimisticLog: MessageAlgorithm = {
  name: 'optimistic-log',
  recovery: 'replay',
  logging: 'lazy',
  participant: (process) =>
    new LoggingParticipant(process, { holdsSends: false, carriesVector: true, carriesDeterminants: false }),
};

/**
 * Causal logging (Manetho: Elnozahy & Zwaenepoel 1992; Elnozahy et al. 2002, section 4.3; MPICH-Vcausal: Bouteiller et al. 2005): determinants
 * that are not known to be stable ride on messages, so whoever depends on an event can tell how to repeat it.
 */
export const causalLog: MessageAlgorithm = {
  name: 'causal-log',
  recovery: 'replay',
  orphanFree: true,
  logging: 'lazy',
  participant: (process) =>
    new LoggingParticipant(process, { holdsSends: false, carriesVector: false, carriesDeterminants: true }),
};
