import type { AppState } from '../app-state.ts';
import type { BehaviourName } from '../config.ts';
import { nextBelow, nextExponential } from '../prng.ts';

/** What a behaviour may do. Neighbours are named by their position in the process's list. */
export interface AppContext {
  /** Number of the process. */
  readonly index: number;
  readonly neighbours: number;
  send(neighbour: number, payload: number): void;
}

export interface Behaviour {
  /** A spontaneous action; `thinkUs` is the mean time between two. Returns microseconds until the next one, or -1 for none. */
  tick(state: AppState, context: AppContext, thinkUs: number): number;
  receive(state: AppState, context: AppContext, neighbour: number, payload: number): void;
}

const BURST = 20;

function toSomebody(state: AppState, context: AppContext, payload: number): void {
  if (context.neighbours > 0) context.send(nextBelow(state, context.neighbours), payload);
}

const nothing = (): void => undefined;

/** A small request when a message comes: the reply goes back the way it came. Odd payloads are requests. */
function reply(_state: AppState, context: AppContext, neighbour: number, payload: number): void {
  if (payload % 2 === 1) context.send(neighbour, payload + 1);
}

export const behaviours: Readonly<Record<BehaviourName, Behaviour>> = {
  /** The lower number of every pair of neighbours serves; each answer brings the next ball. Spontaneously only the first one. */
  'ping-pong': {
    tick(state, context, thinkUs) {
      if (state.ticks === 1 && context.index % 2 === 0) {
        for (let i = 0; i < context.neighbours; i++) context.send(i, 1);
      }
      return state.ticks === 1 ? nextExponential(state, thinkUs) : -1;
    },
    receive: (_state, context, neighbour, payload) => context.send(neighbour, (payload + 1) % 65_536),
  },
  /** One token per process goes round: on to the last neighbour. */
  ring: {
    tick(state, context, thinkUs) {
      if (state.ticks === 1) context.send(context.neighbours - 1, context.index);
      return state.ticks === 1 ? nextExponential(state, thinkUs) : -1;
    },
    receive: (_state, context, neighbour, payload) =>
      context.send((neighbour + Math.max(1, context.neighbours - 1)) % context.neighbours, payload),
  },
  'all-to-all': {
    tick(state, context, thinkUs) {
      toSomebody(state, context, nextBelow(state, 1000));
      return nextExponential(state, thinkUs);
    },
    receive: nothing,
  },
  /** Odd processes ask, the others answer. */
  'client-server': {
    tick(state, context, thinkUs) {
      if (context.index % 2 === 1) toSomebody(state, context, 2 * nextBelow(state, 500) + 1);
      return nextExponential(state, thinkUs);
    },
    receive: reply,
  },
  /** Transfers: the sum of all balances and all money under way never changes. */
  bank: {
    tick(state, context, thinkUs) {
      const amount = Math.min(state.balance, 1 + nextBelow(state, 100));
      if (amount > 0 && context.neighbours > 0) {
        state.balance -= amount;
        toSomebody(state, context, amount);
      }
      return nextExponential(state, thinkUs);
    },
    receive(state, _context, _neighbour, payload) {
      state.balance += payload;
    },
  },
  /** Silence, then many at once. */
  bursty: {
    tick(state, context, thinkUs) {
      for (let i = 0; i < BURST; i++) toSomebody(state, context, nextBelow(state, 1000));
      return nextExponential(state, thinkUs * BURST);
    },
    receive: nothing,
  },
  idle: {
    tick(state, context, thinkUs) {
      toSomebody(state, context, 0);
      return nextExponential(state, thinkUs * 1000);
    },
    receive: nothing,
  },
};
