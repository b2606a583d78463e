import type { Envelope } from '../../algorithms/message/contract.ts';
import { recoveryLine, uselessCheckpoints, type Dependency } from '../../algorithms/message/recovery-line.ts';
import type { MessageContext } from './context.ts';
import { lastComplete, type Node } from './node.ts';
import type { Recovery } from './recovery.ts';
import { lineFaults } from './rollback-check.ts';

/** Counting useless checkpoints tries every one: beyond this much work it is left out (-1 in the metrics). */
const MAX_USELESS_WORK = 20_000_000;

/** Recovery of the algorithms that log nothing: whoever depends on a lost state goes back, to a line of checkpoints. */
export class LineRollback {
  readonly #world: MessageContext;
  readonly #recovery: Recovery;

  constructor(world: MessageContext, recovery: Recovery) {
    this.#world = world;
    this.#recovery = recovery;
  }

  /** Records what a delivery makes the receiver depend upon. */
  depend(node: Node, { from, piggyback }: Envelope): void {
    const fromInterval = piggyback.interval ?? 0;
    const toInterval = node.interval;
    const known = node.lastDependencies.get(from);
    if (known?.fromInterval === fromInterval && known.toInterval === toInterval) return;
    const dependency: Dependency = { from, fromInterval, to: node.process.index, toInterval };
    node.lastDependencies.set(from, dependency);
    node.dependencies.push(dependency);
  }

  recover(crashedAt: number): void {
    const world = this.#world;
    const recovery = this.#recovery;
    const { nodes, queue, metrics } = world;
    const start = nodes.map((node) => (node.process.down ? (lastComplete(node)?.number ?? 0) : node.interval + 1));
    const line = recoveryLine(
      start,
      nodes.flatMap(({ dependencies }) => dependencies),
    );
    for (const fault of lineFaults(nodes, line)) world.violation(fault);
    this.countUseless(line);
    const back: Node[] = [];
    nodes.forEach((node, i) => {
      const number = line[i] ?? 0;
      if (number > node.interval) return;
      const checkpoint = node.checkpoints.find((one) => one.number === number);
      if (checkpoint === undefined) {
        world.violation(`${node.process.name}: checkpoint ${number} of the recovery line is gone`);
        return;
      }
      recovery.countRollback(node, checkpoint);
      metrics.lostWorkUs += Math.max(0, crashedAt - checkpoint.time);
      recovery.restore(node, checkpoint);
      node.interval = number;
      node.dependencies = node.dependencies.filter(({ toInterval }) => toInterval < number);
      node.lastDependencies.clear();
      back.push(node);
    });
    recovery.reconnect(back, crashedAt);
    for (const node of back) {
      const { life } = node;
      queue.push(world.now + recovery.restoreUs, () => recovery.runAgain(node, life), undefined);
    }
  }

  /**
   * Adds checkpoints that are in no consistent state: all that are left at the end of the run, or those after this line, which a recovery
   * is about to discard.
   */
  countUseless(line?: readonly number[]): void {
    const { nodes, metrics } = this.#world;
    const dependencies = nodes.flatMap((node) => node.dependencies);
    const intervals = nodes.map(({ interval }) => interval);
    const checkpoints = intervals.reduce((sum, interval, i) => sum + Math.max(0, interval - (line?.[i] ?? 0)), 0);
    const work = checkpoints * (dependencies.length + nodes.length);
    if (metrics.uselessCheckpoints < 0 || work > MAX_USELESS_WORK) metrics.uselessCheckpoints = -1;
    else metrics.uselessCheckpoints += uselessCheckpoints(intervals, dependencies, line);
  }
}
