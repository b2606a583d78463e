import { DETERMINANT_BYTES } from '../../algorithms/message/contract.ts';
import { recoveryLine } from '../../algorithms/message/recovery-line.ts';
import { micros } from '../world/config.ts';
import type { MessageContext } from './context.ts';
import { nextFraction } from '../world/prng.ts';
import { lastComplete, type Checkpoint, type Node } from './node.ts';
import type { StableLog } from './stable-log.ts';

/** Local checkpoints: when they are taken, what they cost, and when they are thrown away. */
export class Checkpoints {
  readonly #world: MessageContext;
  readonly #stableLog: StableLog;

  constructor(world: MessageContext, stableLog: StableLog) {
    this.#world = world;
    this.#stableLog = stableLog;
  }

  /** Basic checkpoints at each process's own times. */
  begin(): void {
    const { config, nodes, algorithm } = this.#world;
    if (config.intervalMs <= 0) return;
    for (const node of nodes) this.#schedule(node);
    if (algorithm.recovery === 'rollback') this.#scheduleCollection();
  }

  /** A checkpoint of the present state: the process stands still until its dump has ended. */
  take(node: Node, forced: boolean): void {
    const world = this.#world;
    const { process, life } = node;
    const { costs, stateBytes } = world.config;
    const checkpoint: Checkpoint = {
      number: ++node.interval,
      time: world.now,
      app: process.state.copy(),
      state: node.participant.capture(),
      complete: false,
    };
    node.checkpoints.push(checkpoint);
    world.metrics.checkpoints++;
    if (forced) world.metrics.forcedCheckpoints++;
    world.trace.add(world.now, process.name, 'cut', forced ? 'forced' : 'basic', checkpoint.number);
    process.frozen = true;
    world.block(process);
    const dump = costs.freezeMs + costs.dumpBaseMs + costs.thawMs;
    const duration = micros(dump) + Math.round((stateBytes / costs.dumpBytesPerSecond) * 1e6);
    const ended = (): void => {
      if (life === node.life) this.#ended(node, checkpoint);
    };
    world.queue.push(world.now + duration, ended, undefined);
  }

  /** The highest sum of all that is kept. */
  countStorage(): void {
    const { nodes, config, metrics } = this.#world;
    let bytes = 0;
    for (const node of nodes) {
      bytes += node.checkpoints.length * config.stateBytes;
      bytes += node.participant.sentLogBytes + node.stable.length * DETERMINANT_BYTES;
    }
    metrics.peakStorageBytes = Math.max(metrics.peakStorageBytes, bytes);
  }

  #schedule(node: Node): void {
    const world = this.#world;
    const delay = Math.round(micros(world.config.intervalMs) * (0.5 + nextFraction(world.random)));
    const due = (): void => {
      if (!world.working) return;
      world.checkpointNow(node.process);
      this.#schedule(node);
    };
    world.queue.push(world.now + delay, due, undefined);
  }

  #ended(node: Node, checkpoint: Checkpoint): void {
    const world = this.#world;
    const { process } = node;
    checkpoint.complete = true;
    world.unblock(process);
    // What the message that forced the checkpoint waits for comes first.
    process.frozen = false;
    if (world.algorithm.recovery === 'replay') this.#forgetLogs(node);
    world.execute(node, node.awaited.splice(0));
    world.thaw(process);
    world.drain(node);
    if (world.metrics.checkpoints % Math.ceil(world.nodes.length / 8) === 0) this.countStorage();
  }

  /** Logging: the checkpoint makes older ones, and everybody's messages to this process before it, superfluous. */
  #forgetLogs(node: Node): void {
    const stableLog = this.#stableLog;
    const settled = node.checkpoints.findLast(({ complete, state }) => complete && stableLog.isStable(state));
    if (settled !== undefined) {
      node.checkpoints = node.checkpoints.filter((checkpoint) => checkpoint.number >= settled.number);
      const { order } = settled.state;
      node.events = node.events.filter((event) => event.determinant.order > order);
      node.stable = node.stable.filter((determinant) => determinant.order > order);
      this.#forgetSent(node, settled);
    }
    stableLog.becameStable(node, node.stable);
  }

  #forgetSent({ process }: Node, checkpoint: Checkpoint): void {
    for (const channel of process.in) {
      const below = checkpoint.app.receivedFrom(channel.reversePosition) + 1;
      this.#world.node(channel.from.index).participant.forgetSent(process.index, below);
    }
    this.#world.countControl(process.in.length);
  }

  /** Garbage collection (Elnozahy et al. 2002, section 3.1.4): what lies before the line of a failure of everybody is never needed. */
  #scheduleCollection(): void {
    const world = this.#world;
    const due = (): void => {
      if (!world.working) return;
      this.#collect();
      this.#scheduleCollection();
    };
    world.queue.push(world.now + micros(world.config.intervalMs), due, undefined);
  }

  #collect(): void {
    const { nodes } = this.#world;
    const start = nodes.map((node) => lastComplete(node)?.number ?? 0);
    const line = recoveryLine(
      start,
      nodes.flatMap(({ dependencies }) => dependencies),
    );
    nodes.forEach((node, i) => {
      const keep = node.checkpoints.find(({ number }) => number === line[i]);
      if (keep === undefined || keep === node.checkpoints[0]) return;
      node.checkpoints = node.checkpoints.filter(({ number }) => number >= keep.number);
      this.#forgetSent(node, keep);
    });
    this.#world.countControl(2 * nodes.length);
  }
}
