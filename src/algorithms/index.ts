import { chandyLamport } from './coordinated/chandy-lamport.ts';
import type { Algorithm } from './contract.ts';
import { laiYang } from './coordinated/lai-yang.ts';
import { sync } from './coordinated/sync.ts';

/** Every algorithm that a real round can run, by its label value. */
export const algorithms: Readonly<Record<string, Algorithm>> = {
  [laiYang.name]: laiYang,
  [sync.name]: sync,
  [chandyLamport.name]: chandyLamport,
};

/** Algorithms that need a sidecar beside each task, attached beforehand. */
export const PROXY_ALGORITHMS: readonly string[] = Object.values(algorithms)
  .filter(({ interceptor }) => interceptor === 'proxy')
  .map(({ name }) => name);

/** What a stack without the label gets: needs nothing attached beforehand and costs nothing while no round runs. */
export const DEFAULT_ALGORITHM = laiYang.name;

export type * from './contract.ts';
