import { OWN_ACTION, type Determinant } from '../../algorithms/message/contract.ts';
import type { AppState } from '../world/app-state.ts';
import type { Node } from './node.ts';
import type { ReplayPlan } from './replay-plan.ts';

/**
 * The recovery line, by what the applications have sent and received alone: the latest checkpoints, or present states, in which nothing is
 * received that was not sent. By process, the number of the checkpoint; `Infinity` for the present state, -1 if nothing that is left would do.
 */
function latestConsistent(nodes: readonly Node[]): number[] {
  const choices = nodes.map(({ process, checkpoints }): readonly { number: number; app: AppState }[] =>
    process.down
      ? checkpoints.filter(({ complete }) => complete)
      : [...checkpoints, { number: Number.POSITIVE_INFINITY, app: process.state }],
  );
  const chosen = choices.map(({ length }) => length - 1);
  const stateOf = (index: number): AppState | undefined => choices[index]?.[chosen[index] ?? -1]?.app;
  for (let changed = true; changed;) {
    changed = false;
    for (const { process } of nodes) {
      for (const { from, position, reversePosition } of process.in) {
        const sent = stateOf(from.index)?.sentTo(position) ?? 0;
        while ((stateOf(process.index)?.receivedFrom(reversePosition) ?? 0) > sent) {
          chosen[process.index] = (chosen[process.index] ?? 0) - 1;
          changed = true;
        }
      }
    }
  }
  return chosen.map((position, index) => choices[index]?.[position]?.number ?? -1);
}

/**
 * Who would go back further than to the recovery line, or not as far; asked before anybody does. Knows nothing of intervals and
 * dependencies.
 * @param line by process: the checkpoint that the recovery wants; more than the last one for "goes on"
 */
export function lineFaults(nodes: readonly Node[], line: readonly number[]): string[] {
  const right = latestConsistent(nodes);
  return nodes.flatMap(({ process, interval }, i) => {
    const wanted = (line[i] ?? 0) > interval ? Number.POSITIVE_INFINITY : (line[i] ?? 0);
    if (wanted === right[i]) return [];
    const name = (number: number | undefined): string =>
      number === Number.POSITIVE_INFINITY ? 'its present state' : `checkpoint ${number}`;
    return [`${process.name} is sent to ${name(wanted)}, but the recovery line has ${name(right[i])}`];
  });
}

/** The state in which each message was sent, as the world saw it, whatever the message says. */
export class SendOrders {
  readonly #orders: number[][] = [];

  /** The message with this number on the channel (1, 2, 3 …) was sent in this state. A repetition replaces what was. */
  note(channel: number, number: number, order: number): void {
    (this.#orders[channel] ??= [])[number - 1] = order;
  }

  of(channel: number, number: number): number {
    return this.#orders[channel]?.[number - 1] ?? 0;
  }
}

/**
 * Who would go back further than need be where events are logged: the first event that a process gives up must be one that nobody can
 * repeat, or a delivery that its sender gives up too.
 */
export function replayFaults(nodes: readonly Node[], plans: readonly ReplayPlan[], sent: SendOrders): string[] {
  const targets = nodes.map(({ participant }) => participant.order);
  for (const { node, target } of plans) targets[node.process.index] = target;
  return plans.flatMap(({ node, target }) => {
    const { process } = node;
    const next = remembered(node, nodes, target + 1);
    if (next === undefined) return [];
    if (next.sender !== OWN_ACTION) {
      const channel = process.in.find(({ from }) => from.index === next.sender);
      if (channel === undefined || sent.of(channel.index, next.number) > (targets[next.sender] ?? 0)) return [];
    }
    return [`${process.name} is sent back to state ${target}, but state ${target + 1} could be had again`];
  });
}

/** The event with this number, if it can be had: from the survivor itself, from stable storage, or from those who were told. */
function remembered(node: Node, nodes: readonly Node[], order: number): Determinant | undefined {
  const { process, events, stable } = node;
  const is = (one: Determinant): boolean => one.order === order;
  if (!process.down) return events.map(({ determinant }) => determinant).find(is);
  const told = nodes
    .filter((other) => !other.process.down)
    .flatMap(({ participant }) => participant.determinantsOf(process.index));
  return stable.find(is) ?? told.find(is);
}
