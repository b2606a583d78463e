import type { Envelope, MessageAlgorithm, MessageEffect } from '../../algorithms/message/contract.ts';
import type { Process } from '../world/process.ts';
import type { World } from '../world/world.ts';
import type { Node } from './node.ts';
import type { SendOrders } from './rollback-check.ts';

/** What its parts (checkpoints, log, recovery) may ask of the world that is made of them (world.ts). */
export interface MessageContext extends World {
  readonly algorithm: MessageAlgorithm;
  readonly nodes: readonly Node[];
  readonly sendOrders: SendOrders;
  /** @throws Error if there is none */
  node(index: number): Node;
  /** Carries out effects in order; a checkpoint stops the process, and the rest follows when it runs again. */
  execute(node: Node, effects: readonly MessageEffect[]): void;
  /** A basic checkpoint now, if the process runs. */
  checkpointNow(process: Process): void;
  /** Puts a message on its way. */
  send(message: Envelope): void;
  /** Takes what has come, as long as the process runs. */
  drain(node: Node): void;
  countControl(messages: number): void;
}
