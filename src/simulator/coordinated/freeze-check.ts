import type { Process } from '../world/process.ts';
import { micros } from '../world/config.ts';
import type { World } from '../world/world.ts';

/** The dead man's switch leaves the participant, which aborts at the deadline by itself, this much time to do so (agent/tasks). */
export const SWITCH_MARGIN_US = 2_000_000;
/** The block outlives the switch by this much, so that nothing runs unfrozen behind an expired block. */
export const BLOCK_MARGIN_US = 5_000_000;

/**
 * Checks that nobody stands still for longer than was promised, whatever dies: frozen until the deadline and the switch's margin at the most,
 * blocked for a little longer. What never ends at all is found at the end of the run.
 */
export class FreezeCheck {
  readonly #world: World;
  readonly #frozenSince = new Map<Process, number>();
  readonly #blockedSince = new Map<Process, number>();

  constructor(world: World) {
    this.#world = world;
  }

  frozen(process: Process): void {
    this.#frozenSince.set(process, this.#world.now);
  }

  thawed(process: Process): void {
    this.#ended(process, this.#frozenSince, 'frozen', SWITCH_MARGIN_US);
  }

  blocked(process: Process): void {
    this.#blockedSince.set(process, this.#world.now);
  }

  released(process: Process): void {
    this.#ended(process, this.#blockedSince, 'blocked', SWITCH_MARGIN_US + BLOCK_MARGIN_US);
  }

  /** The process has crashed or goes back: what the round did to it does not count any more. */
  forget(process: Process): void {
    this.#frozenSince.delete(process);
    this.#blockedSince.delete(process);
  }

  #ended(process: Process, since: Map<Process, number>, what: string, marginUs: number): void {
    const began = since.get(process);
    if (began === undefined) return;
    since.delete(process);
    const { now, config } = this.#world;
    const allowed = micros(config.deadlineMs) + marginUs;
    if (now - began <= allowed) return;
    this.#world.violation(
      `${process.name} was ${what} for ${(now - began) / 1000} ms, and at most ${allowed / 1000} ms were promised`,
    );
  }
}
