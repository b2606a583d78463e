import { micros } from '../world/config.ts';
import type { MessageContext } from './context.ts';
import type { Channel, Process } from '../world/process.ts';
import { dropUnfinished, type Checkpoint, type Node } from './node.ts';

/** What every recovery does: bring processes back from checkpoints, and give their messages again. Who goes back is for others to say. */
export class Recovery {
  readonly #world: MessageContext;
  #running = false;

  constructor(world: MessageContext) {
    this.#world = world;
  }

  /** A process has crashed, and nobody has noticed yet. */
  get running(): boolean {
    return this.#running;
  }

  /** A process dies; `recover` is called, with the time of the crash, when somebody has noticed. */
  crash(process: Process, recover: (crashedAt: number) => void): void {
    const world = this.#world;
    process.down = true;
    process.frozen = true;
    dropUnfinished(world.node(process.index));
    world.block(process);
    for (const { index } of [...process.in, ...process.out]) world.channelTable.nextGeneration(index);
    const crashedAt = world.now;
    if (this.#running) return;
    this.#running = true;
    const noticed = (): void => {
      this.#running = false;
      recover(crashedAt);
    };
    world.queue.push(world.now + micros(world.config.costs.detectMs), noticed, undefined);
  }

  /** The process becomes what it was at the checkpoint, and stands still. */
  restore(node: Node, checkpoint: Checkpoint): void {
    const world = this.#world;
    const { process } = node;
    dropUnfinished(node);
    node.checkpoints = node.checkpoints.filter(({ number }) => number <= checkpoint.number);
    checkpoint.complete = true;
    process.state.load(checkpoint.app);
    process.down = false;
    process.frozen = true;
    world.scheduleTick(process.index, -1);
    world.block(process);
    node.participant.restore(checkpoint.state);
    world.trace.add(world.now, process.name, 'restore', 'checkpoint', checkpoint.number);
  }

  countRollback(node: Node, checkpoint: Checkpoint): void {
    const { metrics } = this.#world;
    const passed = node.checkpoints.filter(({ number, complete }) => complete && number >= checkpoint.number).length;
    metrics.processesRolledBack++;
    metrics.rollbackCheckpoints += passed;
    metrics.maxRollbackCheckpoints = Math.max(metrics.maxRollbackCheckpoints, passed);
  }

  /** Channels of processes that went back begin anew: the sender gives again what the receiver's state has not. */
  reconnect(back: readonly Node[], crashedAt: number): void {
    const world = this.#world;
    const { metrics } = world;
    metrics.recoveries++;
    metrics.recoveryTimeUs += world.now - crashedAt + this.restoreUs;
    world.countControl(4 * world.nodes.length);
    const channels = new Set(back.flatMap(({ process }) => [...process.in, ...process.out]));
    for (const { participant, process } of world.nodes) {
      if (process.down) continue;
      for (const node of back) participant.step({ kind: 'recovered', process: node.process.index });
    }
    for (const channel of channels) {
      world.channelTable.nextGeneration(channel.index);
      const receiver = world.node(channel.to.index);
      receiver.inbox = receiver.inbox.filter(({ from }) => from !== channel.from.index);
      // A message that waits for the checkpoint it has forced may come from a state that is undone: it comes again.
      receiver.awaited = receiver.awaited.filter(
        (effect) => effect.kind !== 'deliver' || effect.message.from !== channel.from.index,
      );
      if (channel.from.down || channel.to.down) continue;
      const received = channel.to.state.receivedFrom(channel.reversePosition);
      if (world.algorithm.recovery === 'rollback') this.checkOrphan(channel);
      const again = world.node(channel.from.index).participant.sentFrom(channel.to.index, received + 1);
      for (const message of again) world.send(message);
    }
  }

  checkOrphan(channel: Channel): void {
    const sent = channel.from.state.sentTo(channel.position);
    const received = channel.to.state.receivedFrom(channel.reversePosition);
    if (received <= sent) return;
    this.#world.violation(`${channel.id}: orphan message, ${received} delivered but only ${sent} sent`);
  }

  /** How long it takes to bring a process back. Microseconds. */
  get restoreUs(): number {
    const { costs, stateBytes } = this.#world.config;
    return micros(costs.restoreBaseMs) + Math.round((stateBytes / costs.restoreBytesPerSecond) * 1e6);
  }

  /** The process works again, unless it has crashed or gone back since that life. */
  runAgain(node: Node, life: number): void {
    const world = this.#world;
    const { process } = node;
    if (life !== node.life || process.down) return;
    world.unblock(process);
    world.thaw(process);
    world.scheduleTick(process.index, micros(world.config.thinkMs) + (process.index % 97));
    world.drain(node);
  }
}
