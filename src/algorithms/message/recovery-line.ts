import type { ProcessIndex } from './contract.ts';

/**
 * One edge of the rollback-dependency graph (Elnozahy et al. 2002, section 3.1.2, after Bhargava & Lian 1988): a message sent in interval
 * `fromInterval` of one process was delivered in interval `toInterval` of another. Interval k lies between checkpoints k and k + 1;
 * checkpoint 0 is the initial state.
 */
export interface Dependency {
  readonly from: ProcessIndex;
  readonly fromInterval: number;
  readonly to: ProcessIndex;
  readonly toInterval: number;
}

/**
 * The recovery line: the latest consistent global state that keeps no more than `start` allows. By process, the number of intervals kept:
 * `line[p] = k` means "restore checkpoint k" (intervals k and later are undone); one more than the running interval means "go on".
 *
 * Rollback propagation: a delivery that is kept while its sending is undone would be an orphan, so the receiver goes back to the checkpoint
 * before the delivery; repeated until nothing changes.
 */
export function recoveryLine(start: readonly number[], dependencies: readonly Dependency[]): number[] {
  const line = [...start];
  const bySender = new Map<ProcessIndex, Dependency[]>();
  for (const dependency of dependencies) {
    const list = bySender.get(dependency.from);
    if (list === undefined) bySender.set(dependency.from, [dependency]);
    else list.push(dependency);
  }
  const work = [...line.keys()];
  for (let sender = work.pop(); sender !== undefined; sender = work.pop()) {
    for (const { fromInterval, to, toInterval } of bySender.get(sender) ?? []) {
      if (fromInterval < (line[sender] ?? 0) || toInterval >= (line[to] ?? 0)) continue;
      line[to] = toInterval;
      work.push(to);
    }
  }
  return line;
}

/**
 * Checkpoints that are in no consistent global state (they lie on a Z-cycle: Netzer & Xu 1995), so that taking them was in vain. Checkpoint 0
 * is never one.
 * @param running by process, the interval that is running
 * @param after by process, count only checkpoints with higher numbers
 */
export function uselessCheckpoints(
  running: readonly number[],
  dependencies: readonly Dependency[],
  after: readonly number[] = [],
): number {
  const everything = running.map((interval) => interval + 1);
  let count = 0;
  running.forEach((last, process) => {
    for (let checkpoint = (after[process] ?? 0) + 1; checkpoint <= last; checkpoint++) {
      const start = [...everything];
      start[process] = checkpoint;
      if ((recoveryLine(start, dependencies)[process] ?? 0) < checkpoint) count++;
    }
  });
  return count;
}
