import { describe, expect, it } from 'vitest';
import type { Algorithm } from '../../../src/algorithms/contract.ts';
import { chandyLamport } from '../../../src/algorithms/coordinated/chandy-lamport.ts';
import { laiYang } from '../../../src/algorithms/coordinated/lai-yang.ts';
import { mattern } from '../../../src/algorithms/coordinated/mattern.ts';
import { sync } from '../../../src/algorithms/coordinated/sync.ts';

/** The end of the local checkpoint is where a participant forgets most easily that its process still stands still. */
describe.each(
  [laiYang, sync, chandyLamport, mattern].map((algorithm): [string, Algorithm] => [algorithm.name, algorithm]),
)('%s', (_name, algorithm) => {
  it.each(['advance', 'thaw'] as const)('lets the process go, and says so, when %s fails', (effect) => {
    const participant = algorithm.participant({ process: 'p', epoch: 0, deadlineMs: 1000, keepFrozen: false });
    participant.step({ kind: 'start', epoch: 1, now: 0 });
    const left = [
      ...participant.step({ kind: 'saved', now: 1 }),
      ...(algorithm === sync ? participant.step({ kind: 'release', now: 2 }) : []),
    ];
    expect(left.map(({ kind }) => kind)).toContain(effect);
    const undone = participant.step({ kind: 'failed', effect, reason: 'broken', now: 3 }).map(({ kind }) => kind);
    expect(undone.slice(-4)).toEqual(['discard', 'unblock', 'thaw', 'report']);
    expect(participant.busy).toBe(false);
  });
});
