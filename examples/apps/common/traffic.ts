/**
 * What the clients of all applications have in common: connections that are to live for ever, connections that are made anew all the
 * time, and a status in which a reply that was not what it must be is an error (../../pair/status.ts).
 * Environment: APP_SERVER, APP_PORT, APP_PERIOD_MS (10: pause after each reply), and those of the status.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { StatusBoard } from '../../pair/status.ts';
import { dial } from './wire.ts';
import type { Wire } from './wire.ts';

const REDIAL_MS = 200;
/** A short conversation that takes longer hangs. */
const PASSING_MAX_MS = 90_000;

export const server = process.env.APP_SERVER ?? 'server';
export const port = Number(process.env.APP_PORT ?? 0);
export const periodMs = Number(process.env.APP_PERIOD_MS ?? 10);
export const board = new StatusBoard('client');

const lost = new Set<string>();
/** Everything has worked once. Before, servers behind a proxy may not be up yet. */
let begun = false;
let replies = 0;

/** A reply was what it must be. @param what whose counter goes up */
export function checked(what: string): void {
  board.counts[what] = (board.counts[what] ?? 0) + 1;
  replies += 1;
  board.answered(replies);
}

/** Notes an error unless both are equal. @throws Error instead, as long as not everything has worked once */
export function must(what: string, got: string | number, expected: string | number): void {
  if (got === expected) return;
  const text = `${what}: got ${shown(got)}, expected ${shown(expected)}`;
  if (!begun) throw new Error(text);
  board.error(text);
}

function shown(value: string | number): string {
  return JSON.stringify(value).slice(0, 200);
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Something that is to live for ever: begun again when it ends, which is an error once everything has worked. Until then the servers may not be
 * up yet.
 *
 * @param once runs it; ends or throws when it is over
 */
export function forEver(what: string, once: () => Promise<void>): void {
  board.counts[what] = 0;
  lost.add(what);
  void (async () => {
    for (;;) {
      const before = board.counts[what] ?? 0;
      const watch = setInterval(() => {
        if ((board.counts[what] ?? 0) === before) return;
        clearInterval(watch);
        lost.delete(what);
        if (begun) board.reconnects += 1;
        if (lost.size > 0) return;
        begun = true;
        board.connected();
      }, 50);
      const reason = await once().then(() => 'it ended', textOf);
      clearInterval(watch);
      if (begun) board.error(`${what}, after ${board.counts[what] ?? 0} replies: ${reason}`);
      lost.add(what);
      board.connectedSinceMs = null;
      await sleep(REDIAL_MS);
    }
  })();
}

/** A connection that is to live for ever. @param talk works on it and calls {@link checked} with the same name */
export function lasting(what: string, talk: (wire: Wire) => Promise<void>): void {
  forEver(what, async () => {
    const wire = await dial(server, port);
    try {
      await talk(wire);
    } finally {
      wire.destroy();
    }
  });
}

/** Something short that is done over and over again, each time anew: a connection made, used and ended. */
export function againAndAgain(what: string, once: (turn: number) => Promise<void>): void {
  forEver(what, async () => {
    for (let turn = 0; ; turn++) {
      const late = new AbortController();
      const hangs = sleep(PASSING_MAX_MS, undefined, { signal: late.signal }).then(() => {
        throw new Error(`no end after ${PASSING_MAX_MS} ms`);
      });
      hangs.catch(() => undefined);
      await Promise.race([once(turn), hangs]);
      late.abort();
      checked(what);
      await pause();
    }
  });
}

/** Connections that are made anew all the time. */
export function passing(what: string, talk: (wire: Wire, turn: number) => Promise<void>): void {
  againAndAgain(what, async (turn) => {
    const wire = await dial(server, port);
    try {
      await talk(wire, turn);
      wire.end();
    } catch (error) {
      wire.destroy();
      throw error;
    }
  });
}

export async function pause(): Promise<void> {
  if (periodMs > 0) await sleep(periodMs);
}
