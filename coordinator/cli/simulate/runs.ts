import { SwarmcutError } from '../../../src/model/errors.ts';
import type { SimulationConfig } from '../../../src/simulator/world/config.ts';
import { newWorld, simulatedAlgorithms } from '../../../src/simulator/families.ts';
import { fuzzConfig, type FuzzKind } from '../../../src/simulator/fuzz.ts';
import { studyRow, type StudyRow } from '../../../src/simulator/study.ts';
import { bar } from '../output/bar.ts';

/** Events between two looks at the clock and the keyboard. */
const SLICE_EVENTS = 20_000;
const PROGRESS_MS = 200;

/** Shows one line that replaces the one before; an empty text takes it away. */
export type ShowLine = (text: string) => void;

/** Runs worlds in slices, so that progress shows and Ctrl-C is heard. */
export class Runs {
  stopped = false;
  readonly #show: ShowLine;
  #shownAt = 0;

  constructor(show: ShowLine) {
    this.#show = show;
  }

  /** One run per algorithm. Ctrl-C ends it; what was finished is returned, and the interrupted run as far as it came. */
  async compare(algorithms: readonly string[], config: SimulationConfig): Promise<StudyRow[]> {
    return await this.#interruptible(async () => {
      const rows: StudyRow[] = [];
      for (const [i, name] of algorithms.entries()) {
        if (this.stopped) break;
        const needed = (part: number): number => (i + part) / algorithms.length;
        rows.push(await this.#one(name, config, (part) => `${bar(needed(part))} ${name}`));
      }
      return rows;
    });
  }

  /** Many small hostile runs per algorithm: a row for the last one, or for the first in which a checker found a fault. */
  async fuzz(algorithms: readonly string[], kind: FuzzKind, firstSeed: number, seeds: number): Promise<StudyRow[]> {
    return await this.#interruptible(async () => {
      const rows: StudyRow[] = [];
      for (const [i, name] of algorithms.entries()) {
        const needsFifo = simulatedAlgorithms[name]?.needsFifo ?? true;
        let last: StudyRow | undefined;
        for (let run = 0; run < seeds && !this.stopped; run++) {
          const seed = firstSeed + run;
          const done = (i + run / seeds) / algorithms.length;
          last = await this.#one(name, fuzzConfig(seed, needsFifo, kind), () => `${bar(done)} ${name}, seed ${seed}`);
          if (last.violations.length > 0) break;
        }
        if (last !== undefined) rows.push(last);
      }
      return rows;
    });
  }

  async #one(name: string, config: SimulationConfig, line: (part: number) => string): Promise<StudyRow> {
    const family = simulatedAlgorithms[name];
    if (family === undefined) throw new SwarmcutError('internal', `no algorithm ${name}`);
    const world = newWorld(config, family);
    for (;;) {
      if (Date.now() - this.#shownAt >= PROGRESS_MS) {
        this.#shownAt = Date.now();
        this.#show(line(world.progress));
        // The keyboard is heard only here.
        await new Promise(setImmediate);
      }
      if (this.stopped || world.advance(SLICE_EVENTS)) return studyRow(name, config, world);
    }
  }

  async #interruptible<T>(work: () => Promise<T>): Promise<T> {
    const stop = (): void => {
      this.stopped = true;
    };
    process.once('SIGINT', stop);
    try {
      return await work();
    } finally {
      process.removeListener('SIGINT', stop);
      this.#show('');
    }
  }
}

/** Writes progress to a terminal. */
export function terminalLine(stream: NodeJS.WriteStream): ShowLine {
  return (text) => void stream.write(`\r\u001b[K${text}`);
}
