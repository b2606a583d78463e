import { describe, expect, test } from 'vitest';
import { MEASURES, compare } from './figures.ts';
import { readArguments } from './options.ts';
import { describeStep, stepAt } from './plan.ts';
import type { PlanOptions } from './plan.ts';
import { Tally } from './tally.ts';

const plan: PlanOptions = { seed: 7, mode: 'time', sidecars: true, events: ['a', 'b'], quietSteps: 4 };
const steps = (options: PlanOptions): string[] =>
  Array.from({ length: 200 }, (_, index) => describeStep(stepAt(index, options)));

describe('the plan of a soak', () => {
  test('is the same for the same seed, and another one for another', () => {
    expect(steps(plan)).toEqual(steps(plan));
    expect(steps({ ...plan, seed: 8 })).not.toEqual(steps(plan));
  });

  test('begins with each operation once, undisturbed', () => {
    expect(steps(plan).slice(0, 4)).toEqual(['snapshot', 'restore', 'snapshot', 'migrate']);
  });

  test('has all kinds of faults, events and operations; sidecars are killed only where there are some', () => {
    const all = steps(plan).join('\n');
    for (const word of [
      'snapshot',
      'restore',
      'migrate',
      'coordinator killed',
      'agent killed',
      'sidecar killed',
      'engine restarted',
      'a after',
      'b after',
    ])
      expect(all).toContain(word);
    expect(steps({ ...plan, sidecars: false }).join('\n')).not.toContain('sidecar');
  });

  test('of operations that are counted: each restore and migration has a fault or an event', () => {
    const disturbed = Array.from({ length: 200 }, (_, index) => stepAt(index, { ...plan, mode: 'operations' })).slice(
      4,
    );
    for (const { operation, fault, event } of disturbed)
      if (operation !== 'snapshot') expect(fault ?? event).toBeDefined();
  });
});

describe('the figures of a soak', () => {
  const figures = (value: number): Record<string, Record<string, number>> => ({
    n1: Object.fromEntries(MEASURES.map(({ name }) => [name, value])),
  });

  test('may grow by a tenth and an allowance, and not by more', () => {
    const within = compare(figures(1000), figures(1100));
    expect(within.filter(({ grown }) => grown)).toEqual([]);
    const beyond = compare(figures(1000), figures(200_000));
    expect(beyond.every(({ grown }) => grown)).toBe(true);
    expect(
      compare(figures(0), figures(2))
        .filter(({ grown }) => grown)
        .map(({ measure }) => measure.name),
    ).toContain('mounts');
  });
});

describe('the tally of a soak', () => {
  test('counts operations by what they did and by what came of them', () => {
    const tally = new Tally();
    tally.add({ operation: 'restore', fault: { kind: 'agent', at: { from: 'beginning', afterMs: 0 } } }, 'undone', 10);
    tally.add({ operation: 'restore' }, 'done', 20);
    tally.add({ operation: 'migrate' }, 'failure', 30);
    expect([tally.steps, tally.relocations, tally.failures]).toEqual([3, 3, 1]);
    expect(tally.toJSON().counts).toMatchObject({
      restore: { undone: 1, done: 1 },
      'restore, agent killed': { undone: 1 },
    });
  });
});

describe('the command line of a soak', () => {
  const surroundings = { env: {}, now: new Date(0), randomSeed: 5 };

  test('shares time and operations among the algorithms', () => {
    expect(readArguments([], surroundings)).toMatchObject({ milliseconds: 300_000, seed: 5, bed: 'soak' });
    expect(readArguments(['--operations', '200', '--seed', '3', '--rate', '200'], surroundings)).toMatchObject({
      operations: 100,
      rate: 200,
      seed: 3,
    });
    expect(readArguments(['--minutes', '4', '--algorithm', 'lai-yang'], surroundings)).toMatchObject({
      milliseconds: 240_000,
      algorithms: ['lai-yang'],
    });
  });

  test.for([
    ['--minutes', '0'],
    ['--seed', '-1'],
    ['--rate', '-1'],
    ['--algorithm', 'lamport'],
    ['--minutes', '1', '--operations', '2'],
    ['--what'],
  ])('refuses %s', (argv) => {
    expect(() => readArguments(argv, surroundings)).toThrow();
  });
});
