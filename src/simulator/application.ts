import type { BehaviourName } from './config.ts';
import { combine, mix, nextBelow, nextExponential, type Prng } from './prng.ts';

/**
 * Everything that an application process remembers: what a dump holds. Its random numbers are part of it, so that a process that is
 * restored and given the same messages at the same points does the same again (piecewise determinism, Elnozahy et al. 2002, section 2.3).
 */
export interface AppState extends Prng {
  /** Digest of all that has happened to the process: equal histories, equal digests. */
  digest: number;
  /** Money of `bank`. */
  balance: number;
  /** Spontaneous actions done. */
  ticks: number;
  /** Messages delivered. */
  received: number;
  /** Messages sent / delivered per outgoing / incoming channel, and the sums of their hashes. */
  readonly sentTo: Int32Array;
  readonly sentHash: Int32Array;
  readonly receivedFrom: Int32Array;
  readonly receivedHash: Int32Array;
}

/** What a behaviour may do. Neighbours are named by their position in the process's list. */
export interface AppContext {
  readonly process: number;
  readonly neighbours: number;
  send(neighbour: number, payload: number): void;
}

export interface Behaviour {
  /** A spontaneous action; `thinkUs` is the mean time between two. Returns microseconds until the next one, or -1 for none. */
  tick(state: AppState, context: AppContext, thinkUs: number): number;
  receive(state: AppState, context: AppContext, neighbour: number, payload: number): void;
}

export const INITIAL_BALANCE = 1_000_000;

export function newAppState(seed: number, process: number, neighbours: number): AppState {
  return {
    state: combine(mix(seed), process),
    digest: mix(process),
    balance: INITIAL_BALANCE,
    ticks: 0,
    received: 0,
    sentTo: new Int32Array(neighbours),
    sentHash: new Int32Array(neighbours),
    receivedFrom: new Int32Array(neighbours),
    receivedHash: new Int32Array(neighbours),
  };
}

export function cloneAppState(state: AppState): AppState {
  return {
    ...state,
    sentTo: state.sentTo.slice(),
    sentHash: state.sentHash.slice(),
    receivedFrom: state.receivedFrom.slice(),
    receivedHash: state.receivedHash.slice(),
  };
}

/** Says what a message is: which one of its channel, and its contents. */
export function messageHash(number: number, payload: number): number {
  return combine(number, payload) | 0;
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
      if (state.ticks === 1 && context.process % 2 === 0) {
        for (let i = 0; i < context.neighbours; i++) context.send(i, 1);
      }
      return state.ticks === 1 ? nextExponential(state, thinkUs) : -1;
    },
    receive: (_state, context, neighbour, payload) => context.send(neighbour, (payload + 1) % 65_536),
  },
  /** One token per process goes round: on to the last neighbour. */
  ring: {
    tick(state, context, thinkUs) {
      if (state.ticks === 1) context.send(context.neighbours - 1, context.process);
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
      if (context.process % 2 === 1) toSomebody(state, context, 2 * nextBelow(state, 500) + 1);
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
