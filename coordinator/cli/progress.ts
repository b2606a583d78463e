import { Listr, ListrTaskState, PRESET_TIMER } from 'listr2';
import type { DefaultRenderer, ListrTaskObject, SimpleRenderer } from 'listr2';
import type { Reporter } from '../api.ts';
import { durationText } from './output.ts';

/** Shows what an operation is at. */
export interface Progress {
  readonly reporter: Reporter;
  /** Ends the display; nothing may be reported afterwards. */
  end(failed: boolean): Promise<void>;
}

/**
 * Live rows where somebody looks, plain lines on stderr otherwise, nothing with `--json`: then stderr is for the error alone.
 * @param title what is being done, e.g. `snapshot of bank`
 */
export function startProgress(title: string, options: { readonly json: boolean }): Progress {
  if (options.json) return silent();
  const live = process.stdout.isTTY && process.stderr.isTTY && process.env.TERM !== 'dumb';
  return live
    ? liveRows(title)
    : plainLines(
        (line) => process.stderr.write(`${line}\n`),
        () => performance.now(),
      );
}

function silent(): Progress {
  const nothing = (): void => undefined;
  return { reporter: { begin: nothing, done: nothing, failed: nothing, info: nothing }, end: () => Promise.resolve() };
}

/** One line per step that has ended: `[  1.204 s] bank_branch-a.1: save, 183 ms (1.2 MB)`. Exported for its test. */
export function plainLines(write: (line: string) => void, clock: () => number): Progress {
  const start = clock();
  const begun = new StepTimes(clock);
  const line = (text: string): void => {
    write(`[${((clock() - start) / 1000).toFixed(3).padStart(7)} s] ${text}`);
  };
  const reporter: Reporter = {
    begin: (task, step) => begun.begin(task, step),
    done: (task, step, detail) => {
      line(`${prefix(task)}${step}${timeText(begun.end(task, step))}${detail === undefined ? '' : ` (${detail})`}`);
    },
    failed: (task, step, reason) => {
      line(`${prefix(task)}${step} FAILED${timeText(begun.end(task, step))}: ${reason}`);
    },
    info: (message) => line(message),
  };
  return { reporter, end: () => Promise.resolve() };
}

type Row = ListrTaskObject<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;

/**
 * A headline with a spinner, and one row per task with its present step. Which tasks there are is only known as they report, so rows are
 * added to the running list and their states set by hand; the headline's promise is what keeps the list running.
 */
function liveRows(title: string): Progress {
  const times = new StepTimes(() => performance.now());
  let finish: (failed: boolean) => void = () => undefined;
  const ended = new Promise<boolean>((resolve) => (finish = resolve));
  const list = new Listr<unknown, 'default', 'simple'>(
    [
      {
        title,
        rendererOptions: {
          outputBar: Infinity,
          persistentOutput: true,
          timer: { ...PRESET_TIMER, condition: true, field: durationText },
        },
        task: async () => {
          // The error itself is printed by whoever catches it; here only the headline turns red.
          if (await ended) throw new Error('failed');
        },
      },
    ],
    {
      registerSignalListeners: false,
      exitOnError: false,
      rendererOptions: { showErrorMessage: false },
    },
  );
  const running = list.run().catch(() => undefined);
  const rows = new Map<string, Row>();
  const rowOf = (task: string): Row | undefined => {
    if (task === '') return list.tasks[0];
    let row = rows.get(task);
    if (row === undefined) {
      list.add({ title: task, task: () => undefined });
      row = list.tasks.at(-1);
      if (row === undefined) return undefined;
      // Rows are shown once they have been checked, which has to begin while they wait.
      void row.check({});
      row.state$ = ListrTaskState.STARTED;
      rows.set(task, row);
    }
    return row;
  };
  const show = (task: string, text: string): Row | undefined => {
    const row = rowOf(task);
    if (row !== undefined) row.title$ = task === '' ? `${title}: ${text}` : `${task}: ${text}`;
    return row;
  };
  const reporter: Reporter = {
    begin: (task, step) => {
      times.begin(task, step);
      show(task, `${step} …`);
    },
    done: (task, step, detail) => {
      show(task, `${step}${timeText(times.end(task, step))}${detail === undefined ? '' : ` (${detail})`}`);
    },
    failed: (task, step, reason) => {
      const row = show(task, `${step} failed: ${reason}`);
      if (row !== undefined && task !== '') row.state$ = ListrTaskState.FAILED;
    },
    info: (message) => {
      const headline = list.tasks[0];
      if (headline !== undefined) headline.output$ = message;
    },
  };
  return {
    reporter,
    end: async (failed) => {
      for (const row of rows.values()) {
        if (row.isStarted()) row.state$ = failed ? ListrTaskState.SKIPPED : ListrTaskState.COMPLETED;
      }
      finish(failed);
      await running;
    },
  };
}

/** When the steps under way began. */
class StepTimes {
  readonly #begun = new Map<string, number>();
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  begin(task: string, step: string): void {
    this.#begun.set(`${task}\0${step}`, this.#clock());
  }

  /** Milliseconds since its beginning, if that was reported. */
  end(task: string, step: string): number | undefined {
    const key = `${task}\0${step}`;
    const begun = this.#begun.get(key);
    this.#begun.delete(key);
    return begun === undefined ? undefined : this.#clock() - begun;
  }
}

function timeText(milliseconds: number | undefined): string {
  return milliseconds === undefined ? '' : `, ${durationText(milliseconds)}`;
}

function prefix(task: string): string {
  return task === '' ? '' : `${task}: `;
}
