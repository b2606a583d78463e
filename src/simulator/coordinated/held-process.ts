import { micros } from '../world/config.ts';
import type { CoordinatedContext } from './context.ts';
import type { Process } from '../world/process.ts';
import { Expiry } from './expiry.ts';
import { BLOCK_MARGIN_US, SWITCH_MARGIN_US } from './freeze-check.ts';

/**
 * What an agent has done to its process for a round. It outlives the agent: the freeze until the dead man's switch ends it, the block until
 * it expires by itself.
 */
export class HeldProcess {
  readonly #world: CoordinatedContext;
  readonly #process: Process;
  /** Thaws and unblocks when the time is up, whatever has become of the agent. */
  readonly #switch: Expiry;
  /** The end of the block. */
  readonly #block: Expiry;

  /** @param switchFired told after the switch has let the process go */
  constructor(world: CoordinatedContext, process: Process, switchFired: () => void) {
    this.#world = world;
    this.#process = process;
    this.#switch = new Expiry(world, () => {
      if (process.down) return;
      world.metrics.switchesFired++;
      world.trace.add(world.now, process.name, 'switch-fires');
      this.letGo();
      switchFired();
    });
    this.#block = new Expiry(world, () => this.release());
  }

  /** Nothing enters or leaves from now on. */
  block(): void {
    this.#process.blocked = true;
    this.#block.arm(this.#switchUs + BLOCK_MARGIN_US);
    this.#world.freezeCheck.blocked(this.#process);
  }

  release(): void {
    const process = this.#process;
    if (!process.blocked) return;
    this.#block.callOff();
    process.blocked = false;
    this.#world.freezeCheck.released(process);
    this.#world.transport.released(process);
    if (!process.frozen) this.#world.unblock(process);
  }

  /** The switch is armed first: from here on, an agent that dies leaves something behind that thaws the process. */
  freeze(): void {
    const world = this.#world;
    if (world.config.deadMansSwitch) this.#switch.arm(this.#switchUs);
    this.#process.frozen = true;
    world.freezeCheck.frozen(this.#process);
    world.trace.add(world.now, this.#process.name, 'freeze');
  }

  thaw(): void {
    const world = this.#world;
    this.#switch.callOff();
    world.freezeCheck.thawed(this.#process);
    world.trace.add(world.now, this.#process.name, 'thaw');
    world.unblock(this.#process);
    world.thaw(this.#process);
  }

  /** Undoes block and freeze, as far as there is something to undo. */
  letGo(): void {
    this.release();
    if (this.#process.frozen && !this.#process.down) this.thaw();
  }

  /** The process goes back to a checkpoint: what was done to it is gone with it. */
  forget(): void {
    this.#switch.callOff();
    this.#block.callOff();
    this.#world.freezeCheck.forget(this.#process);
  }

  /** From the freeze until the switch fires. */
  get #switchUs(): number {
    return micros(this.#world.config.deadlineMs) + SWITCH_MARGIN_US;
  }
}
