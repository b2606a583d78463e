import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';

/**
 * A container's freezer cgroup, written to as runc does it, without the 30 to 60 ms that `runc pause` and `runc resume` take, during which
 * the task stands still or its traffic is blocked. Hard cases are left to runc, which knows more tricks.
 *
 * Kernel documents: cgroup-v1/freezer-subsystem.rst (FREEZING becomes FROZEN when the last process has stopped), cgroup-v2.rst
 * (cgroup.freeze, and `frozen` in cgroup.events).
 */
export interface Freezer {
  /** @returns false if not all processes have stopped in time; then it is still being tried. @throws the system's error */
  freeze(): Promise<boolean>;
  /** @throws the system's error */
  thaw(): void;
}

/** A process that waits for a processor stops only when it gets one. Milliseconds. */
const PATIENCE_MS = 200;
/** How often the state is asked for at once, before there is a pause of a millisecond each time. */
const QUICK_LOOKS = 20;

/**
 * @param stateFile runc's `state.json`
 * @returns undefined if it names no freezer
 * @throws the system's error if it cannot be read
 */
export function findFreezer(stateFile: string): Freezer | undefined {
  const state = JSON.parse(readFileSync(stateFile, 'utf8')) as { readonly cgroup_paths?: Record<string, string> };
  // By controller; the unified hierarchy of cgroup v2, which may be there beside the others, has no name.
  const { freezer, '': unified } = state.cgroup_paths ?? {};
  if (freezer !== undefined) return inVersion1(join(freezer, 'freezer.state'));
  return unified === undefined ? undefined : inVersion2(unified);
}

function inVersion1(file: string): Freezer {
  return {
    freeze: () => {
      writeFileSync(file, 'FROZEN');
      return becomes(() => readFileSync(file, 'utf8').trim() === 'FROZEN');
    },
    thaw: () => writeFileSync(file, 'THAWED'),
  };
}

function inVersion2(cgroup: string): Freezer {
  const file = join(cgroup, 'cgroup.freeze');
  return {
    freeze: () => {
      writeFileSync(file, '1');
      return becomes(() => readFileSync(join(cgroup, 'cgroup.events'), 'utf8').includes('frozen 1'));
    },
    thaw: () => writeFileSync(file, '0'),
  };
}

async function becomes(reached: () => boolean): Promise<boolean> {
  const until = performance.now() + PATIENCE_MS;
  for (let looks = 1; !reached(); looks += 1) {
    if (performance.now() > until) return false;
    await (looks < QUICK_LOOKS ? setImmediate() : setTimeout(1));
  }
  return true;
}
