import type { Algorithm } from './contract.ts';
import { laiYang } from './lai-yang.ts';
import { sync } from './sync.ts';

/** Every algorithm that a real round can run, by its label value. */
export const algorithms: Readonly<Record<string, Algorithm>> = { [laiYang.name]: laiYang, [sync.name]: sync };

/** What a stack without the label gets: needs nothing attached beforehand and costs nothing while no round runs. */
export const DEFAULT_ALGORITHM = laiYang.name;

export type * from './contract.ts';
