import type { Side } from './surroundings.ts';

/** What may happen to two ends of a stream; without what loses bytes. */
export const OPERATIONS = [
  'flow', // all that can move does
  'write', // the application sends
  'read-app',
  'read-tunnel',
  'take', // the application's kernel takes what waits for it
  'close', // the application closes its direction
  'time',
  'mark', // the algorithm is done with a marker
  'cut', // a round begins here
  'release',
  'block',
  'pause',
  'unpause',
  'accept', // the opener hears that it was accepted
  'move', // this end's task moves
  'give-up', // … after all not
  'arrive', // … and is there
  'resume', // the two ends find each other
  'restore', // both go back to the last cut
] as const;
export type OperationKind = (typeof OPERATIONS)[number] | 'reset' | 'lose';

export interface Operation {
  readonly kind: OperationKind;
  readonly side: Side;
  readonly bytes: number;
}
