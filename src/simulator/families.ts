import { chandyLamport } from '../algorithms/coordinated/chandy-lamport.ts';
import { cic, cicFdas } from '../algorithms/message/cic.ts';
import type { Algorithm } from '../algorithms/contract.ts';
import { kooToueg } from '../algorithms/coordinated/koo-toueg.ts';
import { laiYang } from '../algorithms/coordinated/lai-yang.ts';
import { mattern } from '../algorithms/coordinated/mattern.ts';
import type { MessageAlgorithm } from '../algorithms/message/contract.ts';
import { causalLog, optimisticLog, pessimisticLog } from '../algorithms/message/message-logging.ts';
import { sync } from '../algorithms/coordinated/sync.ts';
import { uncoordinated } from '../algorithms/message/uncoordinated.ts';
import type { SimulationConfig } from './world/config.ts';
import { CoordinatedWorld } from './coordinated/world.ts';
import { MessageWorld } from './messages/world.ts';
import type { World } from './world/world.ts';

export type SimulatedAlgorithm =
  | { readonly kind: 'coordinated'; readonly algorithm: Algorithm; readonly needsFifo: boolean }
  | { readonly kind: 'message'; readonly algorithm: MessageAlgorithm; readonly needsFifo: boolean };

const coordinated = (algorithm: Algorithm, needsFifo = false): SimulatedAlgorithm => ({
  kind: 'coordinated',
  algorithm,
  needsFifo,
});
const message = (algorithm: MessageAlgorithm): SimulatedAlgorithm => ({ kind: 'message', algorithm, needsFifo: true });

/** Every algorithm that can be simulated, by name. The first three are the modules that agents run, or will run. */
export const simulatedAlgorithms: Readonly<Record<string, SimulatedAlgorithm>> = Object.fromEntries(
  [
    coordinated(sync),
    coordinated(laiYang),
    coordinated(chandyLamport, true),
    coordinated(mattern),
    coordinated(kooToueg),
    message(uncoordinated),
    message(cic),
    message(cicFdas),
    message(pessimisticLog),
    message(optimisticLog),
    message(causalLog),
  ].map((one) => [one.algorithm.name, one]),
);

/** A run of one algorithm, ready to begin. */
export function newWorld(config: SimulationConfig, { kind, algorithm, needsFifo }: SimulatedAlgorithm): World {
  const fitting = { ...config, fifo: config.fifo || needsFifo };
  return kind === 'coordinated' ? new CoordinatedWorld(fitting, algorithm) : new MessageWorld(fitting, algorithm);
}
