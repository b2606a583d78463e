import type { Listener } from '../../operations/index.ts';

/** Each event as it is, with the time: one JSON object per line. For programs. */
export function jsonLines(write: (line: string) => void, now: () => Date): Listener {
  return { handle: (event) => write(JSON.stringify({ time: now().toISOString(), ...event })) };
}
