import { OWN_ACTION } from '../../algorithms/message/contract.ts';
import type { MessageContext } from './context.ts';
import type { Node } from './node.ts';
import type { Recovery } from './recovery.ts';
import { planReplay, type ReplayPlan } from './replay-plan.ts';
import { replayFaults } from './rollback-check.ts';
import type { StableLog } from './stable-log.ts';

/** Repeating one logged event. */
const REPLAY_EVENT_US = 20;

/** Recovery of the logging algorithms: who crashed goes back to a checkpoint and repeats what was logged; see replay-plan.ts for the others. */
export class LogReplay {
  readonly #world: MessageContext;
  readonly #recovery: Recovery;
  readonly #stableLog: StableLog;

  constructor(world: MessageContext, recovery: Recovery, stableLog: StableLog) {
    this.#world = world;
    this.#recovery = recovery;
    this.#stableLog = stableLog;
  }

  recover(crashedAt: number): void {
    const world = this.#world;
    // Who was still being replayed knows only a part of its past, and may wait for what has just been lost: it begins again.
    for (const { replay, process } of world.nodes) if (replay !== undefined) process.down = true;
    const plans = planReplay(world.nodes);
    for (const fault of replayFaults(world.nodes, plans, world.sendOrders)) world.violation(fault);
    for (const plan of plans) this.#goBack(plan, crashedAt);
    this.#recovery.reconnect(
      plans.map(({ node }) => node),
      crashedAt,
    );
    for (const { node } of plans) {
      const { life } = node;
      const replayUs = REPLAY_EVENT_US * (node.replay?.length ?? 0);
      world.metrics.recoveryTimeUs += replayUs;
      const begin = (): void => {
        if (life !== node.life || node.process.down) return;
        node.replayReady = true;
        this.#stableLog.becameStable(node, node.stable);
        this.repeat(node);
      };
      world.queue.push(world.now + this.#recovery.restoreUs + replayUs, begin, undefined);
    }
  }

  /** Repeats as many logged events as have what they need; a message that has not come yet will call this again. */
  repeat(node: Node): void {
    const world = this.#world;
    const { replay, process } = node;
    if (replay === undefined || !node.replayReady || process.down) return;
    for (let next = replay[0]; next !== undefined; next = replay[0]) {
      if (next.sender === OWN_ACTION) {
        replay.shift();
        world.act(process.index);
        continue;
      }
      const { sender, number } = next;
      const at = node.inbox.findIndex((message) => message.from === sender && message.number === number);
      const message = node.inbox[at];
      if (message === undefined) return;
      node.inbox.splice(at, 1);
      replay.shift();
      world.execute(node, node.participant.step({ kind: 'receive', message }));
    }
    node.replay = undefined;
    node.expected = undefined;
    for (const channel of process.out) {
      if (channel.to.down || world.node(channel.to.index).replay !== undefined) continue;
      this.#recovery.checkOrphan(channel);
    }
    world.trace.add(world.now, process.name, 'replayed', 'state', node.participant.order);
    this.#recovery.runAgain(node, node.life);
  }

  #goBack({ node, checkpoint, determinants, target }: ReplayPlan, crashedAt: number): void {
    const world = this.#world;
    if (world.algorithm.orphanFree === true && !node.process.down) {
      world.violation(`${node.process.name} has to go back to state ${target} although it did not crash`);
    }
    const lost = node.events.find(({ determinant }) => determinant.order > target);
    if (lost !== undefined) world.metrics.lostWorkUs += Math.max(0, crashedAt - lost.time);
    this.#recovery.countRollback(node, checkpoint);
    const expected = new Map<number, number>();
    for (const { determinant, digest } of node.events) {
      if (digest !== undefined && determinant.order <= target) expected.set(determinant.order, digest);
    }
    this.#recovery.restore(node, checkpoint);
    node.expected = expected;
    node.events = node.events.filter(({ determinant }) => determinant.order <= checkpoint.state.order);
    this.#stableLog.truncate(node, target);
    node.replay = [...determinants];
    node.replayReady = false;
  }
}
