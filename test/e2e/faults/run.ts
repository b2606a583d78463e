/** Runs cells one after the other on one bed, which is repaired or made anew only when a cell was red. */
import { setTimeout as sleep } from 'node:timers/promises';
import { down, listBeds, up } from '../../../examples/testbed/index.ts';
import { leftoversOf } from '../leftovers.ts';
import { runCell, takeGood, type Cell, type Good, type Outcome } from './cell.ts';
import { Ground, NODES } from './ground.ts';

/** Snapshots that cells leave behind are removed when there are so many. */
const TIDY_AFTER = 10;

export interface RunOptions {
  readonly bed: string;
  readonly cells: readonly Cell[];
  /** Told of every cell. */
  readonly onOutcome: (cell: Cell, outcome: Outcome) => Promise<void>;
  readonly say: (text: string) => void;
  /** No cell is begun after so long. Milliseconds. */
  readonly limitMs?: number | undefined;
  /** The bed is somebody else's: it is not made anew. */
  readonly keepBed?: boolean;
}

/** Cells of one algorithm come one after the other. */
export async function runCells(options: RunOptions): Promise<void> {
  const runner = new Runner(options);
  const begun = performance.now();
  try {
    for (const cell of options.cells) {
      if (performance.now() - begun > (options.limitMs ?? Infinity)) {
        options.say('the time is up');
        break;
      }
      await options.onOutcome(cell, await runner.run(cell));
    }
  } finally {
    await runner.close();
  }
}

class Runner {
  readonly #options: RunOptions;
  #ground: Ground | undefined;
  #good: Good | undefined;
  #run = 0;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  async run(cell: Cell): Promise<Outcome> {
    const { ground, good } = await this.#standing(cell.algorithm);
    let outcome: Outcome;
    try {
      outcome = await runCell(ground, good, cell);
    } catch (error) {
      const problems = [`the bed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
      outcome = { verdict: 'red', problems, exitCode: -1, harmMs: 0, seconds: 0 };
    }
    if (outcome.verdict === 'red') await this.#repair(ground);
    else if (++this.#run % TIDY_AFTER === 0) await this.#tidy(ground, good);
    return outcome;
  }

  async close(): Promise<void> {
    if (this.#options.keepBed === true) await this.#ground?.remove().catch(() => undefined);
  }

  async #standing(algorithm: string): Promise<{ ground: Ground; good: Good }> {
    if (this.#ground?.algorithm !== algorithm) {
      await this.#ground?.remove();
      this.#good = undefined;
      this.#ground = new Ground(this.#options.bed, algorithm);
      await this.#ground.switchOn();
      await this.#ground.remove();
      await this.#ground.deploy();
    }
    if (this.#good === undefined) {
      this.#good = await takeGood(this.#ground);
      for (const line of this.#good.left) this.#options.say(`there was before: ${line}`);
    }
    return { ground: this.#ground, good: this.#good };
  }

  /** The stack is made anew; if something is left then, so is the bed. */
  async #repair(ground: Ground): Promise<void> {
    this.#ground = undefined;
    this.#good = undefined;
    try {
      await ground.remove();
      await sleep(1_000);
      const left = await leftoversOf({ bed: ground.bed });
      // Files of ours do not disturb the next cell, and are told already.
      if (left.every((line) => /^n\d: (file|directory|part|ledger|half-written|dead man)/.test(line))) return;
      this.#options.say(`left after the repair: ${left.join('; ')}`);
    } catch (error) {
      this.#options.say(`the repair failed: ${String(error)}`);
    }
    if (this.#options.keepBed === true) return;
    await down({ name: ground.bed });
    await up({ name: ground.bed, nodes: NODES.length });
  }

  async #tidy(ground: Ground, good: Good): Promise<void> {
    const all = await ground.stacks.coordinate<{ id: string }[]>(['list', ground.stack]);
    const old = all.map(({ id }) => id).filter((id) => id !== good.id);
    if (old.length > 0) await ground.stacks.coordinator(['rm', ...old]);
  }
}

/** Makes the bed if it is not there. @returns whether it was */
export async function ensureBed(bed: string): Promise<boolean> {
  const existed = (await listBeds()).some(({ name }) => name === bed);
  await up({ name: bed, nodes: NODES.length });
  return existed;
}
