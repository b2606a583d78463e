import { CheckpointingParticipant } from './checkpointing-participant.ts';
import type { MessageAlgorithm } from './contract.ts';

/**
 * Index-based communication-induced checkpointing: Briatico, Ciuffoletti & Simoncini 1984, "A distributed domino-effect free recovery
 * algorithm" (Elnozahy et al. 2002, section 3.3.2). The checkpoint index rides on every message; a higher one forces a checkpoint with that
 * index before the delivery, so checkpoints of one index are a consistent line.
 */
export const cic: MessageAlgorithm = {
  name: 'cic',
  recovery: 'rollback',
  participant: (process) =>
    new CheckpointingParticipant(process, {
      carriesIndex: true,
      carriesVector: false,
      forces: (own, carried) => (carried.index ?? 0) > own.index,
    }),
};

/**
 * Fixed dependency after send: Wang 1997, "Consistent global checkpoints that contain a given set of local checkpoints", section 5. A process
 * that has sent since its last checkpoint takes one before it delivers a message that would change its dependency vector: no useless
 * checkpoint, at the price of a vector on every message.
 */
export const cicFdas: MessageAlgorithm = {
  name: 'cic-fdas',
  recovery: 'rollback',
  participant: (process) =>
    new CheckpointingParticipant(process, {
      carriesIndex: false,
      carriesVector: true,
      forces(own, carried) {
        if (!own.hasSent || carried.vector === undefined) return false;
        for (const [other, interval] of carried.vector) if (interval > (own.vector.get(other) ?? -1)) return true;
        return false;
      },
    }),
};
