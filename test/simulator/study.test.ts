import { describe, expect, it } from 'vitest';
import { DEFAULT_CONFIG } from '../../src/simulator/world/config.ts';
import { newWorld, simulatedAlgorithms } from '../../src/simulator/families.ts';
import { ArrivalGap } from '../../src/simulator/world/measurement/arrival-gap.ts';
import { studyRow } from '../../src/simulator/study.ts';

describe('ArrivalGap', () => {
  it('is the longest time between two messages', () => {
    const arrivalGap = new ArrivalGap();
    for (const now of [100, 110, 150, 160]) arrivalGap.heard(now);
    expect(arrivalGap.take()).toBe(40);
    arrivalGap.heard(165);
    expect(arrivalGap.take()).toBe(5);
    expect(arrivalGap.take()).toBe(0);
  });
});

describe('the gap that a ping-pong client sees of a round', () => {
  // The configuration of docs/overhead.md, "How far to trust it".
  const pair = { ...DEFAULT_CONFIG, processes: 2, degree: 2, behaviour: 'ping-pong', intervalMs: 1000 } as const;
  const standstillMs = 14 + 100 + 22.2;

  it.each(['lai-yang', 'sync', 'chandy-lamport'])('%s: the standstill and little more', (name) => {
    const family = simulatedAlgorithms[name];
    if (family === undefined) throw new Error(name);
    const { gapMs, rounds, blockedMeanMs } = studyRow(name, pair, newWorld(pair, family).run());
    expect(rounds).toBe(10);
    expect(gapMs).toBeGreaterThan(standstillMs);
    expect(gapMs).toBeLessThan(blockedMeanMs / rounds + 30);
  });

  it('is not measured where nothing is coordinated', () => {
    const family = simulatedAlgorithms.uncoordinated;
    if (family === undefined) throw new Error('no uncoordinated');
    expect(studyRow('uncoordinated', pair, newWorld(pair, family).run()).gapMs).toBe(0);
  });
});
