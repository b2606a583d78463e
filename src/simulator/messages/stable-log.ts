import {
  DETERMINANT_BYTES,
  type Determinant,
  type MessageParticipantState,
} from '../../algorithms/message/contract.ts';
import { micros } from '../world/config.ts';
import type { MessageContext } from './context.ts';
import { lastComplete, type Node } from './node.ts';

/** How long determinants are gathered where they may be (optimistic and causal logging). */
const LAZY_FLUSH_US = 50_000;

/** The loggers: what determinants are on stable storage, and the past that a replay is compared with. */
export class StableLog {
  readonly #world: MessageContext;
  /** By process: all determinants up to this number are recoverable. */
  readonly #orders: Float64Array;

  constructor(world: MessageContext) {
    this.#world = world;
    this.#orders = new Float64Array(world.processes.length);
  }

  /** The event whose determinant was last logged has been carried out: the state after it is what a replay must come to. */
  happened(node: Node): void {
    const event = node.events.at(-1);
    if (event === undefined || event.digest !== undefined) return;
    const { digest } = node.process.state;
    if (event.expected !== undefined && event.expected !== digest) {
      this.#world.violation(`${node.process.name}: replay differs at state ${event.determinant.order}`);
    }
    event.digest = digest;
  }

  log(node: Node, determinant: Determinant): void {
    const expected = node.replay === undefined ? undefined : node.expected?.get(determinant.order);
    node.events.push({ determinant, digest: undefined, expected, time: this.#world.now });
    if (determinant.order <= (node.stable.at(-1)?.order ?? 0)) return;
    node.logPending.push(determinant);
    if (!node.logWriting) this.#write(node);
  }

  /** These have become stable, or a checkpoint has made them superfluous. */
  becameStable(node: Node, added: readonly Determinant[]): void {
    const { index } = node.process;
    let order = Math.max(lastComplete(node)?.state.order ?? 0, this.#orders[index] ?? 0);
    for (const determinant of added) if (determinant.order === order + 1) order++;
    this.#orders[index] = order;
    const effects = node.participant.step({ kind: 'stable', orders: this.#orders });
    if (effects.length > 0 && !node.process.frozen) this.#world.unblock(node.process);
    this.#world.execute(node, effects);
  }

  /** Nothing that the state depends on can be lost any more. */
  isStable(state: MessageParticipantState): boolean {
    for (const [process, order] of state.vector) {
      const saved = lastComplete(this.#world.node(process))?.state.order ?? 0;
      if (order > Math.max(this.#orders[process] ?? 0, saved)) return false;
    }
    return true;
  }

  /** The process goes back to this state number: what came after it never was. */
  truncate(node: Node, order: number): void {
    const { index } = node.process;
    node.stable = node.stable.filter((determinant) => determinant.order <= order);
    this.#orders[index] = Math.min(this.#orders[index] ?? 0, order);
  }

  #write(node: Node): void {
    node.logWriting = true;
    const world = this.#world;
    const { life } = node;
    const wait = world.algorithm.logging === 'lazy' ? LAZY_FLUSH_US : 0;
    const begin = (): void => {
      if (life !== node.life) return;
      const batch = node.logPending.splice(0);
      world.metrics.loggedBytes += batch.length * DETERMINANT_BYTES;
      world.countControl(2);
      const done = (): void => {
        if (life !== node.life) return;
        node.stable.push(...batch);
        this.becameStable(node, batch);
        if (node.logPending.length > 0) this.#write(node);
        else node.logWriting = false;
      };
      world.queue.push(world.now + micros(world.config.costs.logWriteMs), done, undefined);
    };
    world.queue.push(world.now + wait, begin, undefined);
  }
}
