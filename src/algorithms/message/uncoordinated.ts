import { CheckpointingParticipant } from './checkpointing-participant.ts';
import type { MessageAlgorithm } from './contract.ts';

/**
 * Independent checkpoints (Elnozahy et al. 2002, section 3.1): nobody waits for anybody, dependencies are recorded, and after a failure the
 * recovery line is computed (recovery-line.ts). Pays with the domino effect.
 */
export const uncoordinated: MessageAlgorithm = {
  name: 'uncoordinated',
  recovery: 'rollback',
  participant: (process) =>
    new CheckpointingParticipant(process, { carriesIndex: false, carriesVector: false, forces: () => false }),
};
