import type { Epoch } from '../../src/algorithms/contract.ts';

/**
 * DSCP values of the pool that RFC 2474 section 6 leaves to local use (xxxx11), so that no application means anything by them.
 * Two are enough: a round ends everywhere before the next one begins, so only neighbouring epochs are ever in the network together.
 */
const COLOURS = [0x0b, 0x13] as const;

/** The colour of packets that a process sends after its checkpoint number `epoch` (Lai & Yang 1987: white and red by turns). */
export function colourOf(epoch: Epoch): number {
  return epoch % 2 === 0 ? COLOURS[0] : COLOURS[1];
}
