/** Speed and memory of the simulator: needs no test bed, only the processor. */
import { measureApart, type MeasuredName, type Measurement } from '../bench-simulator/measure.ts';
import { median, type BenchItem, type Figure } from './bench.ts';

const RUNS = 3;

export const simulator: BenchItem = {
  name: 'simulator',
  withoutBed: true,
  title: 'simulator: a million messages, 10 000 processes, cost of an event',
  async run({ say, signal }): Promise<Figure[]> {
    const names = [
      'million-messages',
      'ring-of-10000',
      'events-100',
      'events-10000',
      'rounds-100',
      'rounds-10000',
    ] as const;
    const measured = new Map<MeasuredName, Measurement[]>(names.map((name) => [name, []]));
    // In turns, so that what else goes on hits all of them.
    for (let run = 1; run <= RUNS; run++) {
      for (const name of names) {
        say(`${name}, run ${run} of ${RUNS}`);
        measured.get(name)?.push(await measureApart(name, signal));
      }
    }
    const figure = (
      what: string,
      name: MeasuredName,
      pick: (one: Measurement) => number,
      unit: Figure['unit'],
      aim?: number,
    ): Figure => {
      const samples = (measured.get(name) ?? []).map(pick);
      return { what, value: median(samples), unit, ...(aim === undefined ? {} : { aim }), samples };
    };
    const cpu = ({ setUpSeconds, runSeconds }: Measurement): number => setUpSeconds + runSeconds;
    const perEvent = ({ microsecondsPerEvent }: Measurement): number => microsecondsPerEvent;
    const million = '1 000 processes, degree 8, 1 million messages, 1 round of chandy-lamport';
    const ratio = (what: string, small: MeasuredName, large: MeasuredName): Figure => {
      const divisors = (measured.get(small) ?? []).map(perEvent);
      const samples = (measured.get(large) ?? []).map((one, i) => perEvent(one) / (divisors[i] ?? Number.NaN));
      return { what, value: median(samples), unit: '×', aim: 2, samples };
    };
    return [
      figure(`${million}, CPU time`, 'million-messages', cpu, 's', 20),
      figure('the same, peak of memory', 'million-messages', ({ peakMegabytes }) => peakMegabytes, 'MB', 1000),
      figure('10 000 processes in a ring, 10 rounds, CPU time', 'ring-of-10000', cpu, 's', 30),
      ratio('simulated event with 10 000 processes against 100, CPU time', 'events-100', 'events-10000'),
      ratio('the same where a quarter of the events belongs to rounds', 'rounds-100', 'rounds-10000'),
    ];
  },
};
