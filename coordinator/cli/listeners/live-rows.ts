import { Listr, ListrTaskState, PRESET_TIMER } from 'listr2';
import type { DefaultRenderer, ListrTaskObject, SimpleRenderer } from 'listr2';
import type { FetchProgress, Listener, OperationEvent } from '../../operations/index.ts';
import { bar } from '../output/bar.ts';
import { bytesText, durationText } from '../output/output.ts';
import { StepTimes, doneText, nameOf } from './steps.ts';

type Row = ListrTaskObject<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;

/** A headline with a spinner, and one row per task or node with its present step; a bar in it while its parts are fetched. */
export function liveRows(): Listener {
  const times = new StepTimes(() => performance.now());
  let rows: Rows | undefined;
  const handle = (event: OperationEvent): void => {
    switch (event.kind) {
      case 'operation-begun':
        rows = new Rows(event.title);
        return;
      case 'operation-ended':
        return rows?.end(event.error !== undefined);
      case 'step-begun':
        times.begin(event, event.step);
        return rows?.show(nameOf(event), `${event.step} …`);
      case 'step-done':
        return rows?.show(nameOf(event), doneText(event, times.end(event, event.step)));
      case 'step-failed':
        times.end(event, event.step);
        return rows?.fail(nameOf(event), `${event.step} failed: ${event.reason}`);
      case 'fetch-progress':
        if (times.isUnderWay(event, 'fetch')) rows?.show(event.task, fetchText(event));
        return;
      case 'information':
      case 'warning':
        return rows?.tell(event.message);
    }
  };
  const close = async (): Promise<void> => {
    await rows?.closed;
  };
  return { handle, close };
}

/** `fetch [######------]  50 %, 1.20 GB of 2.40 GB`. Exported for its test. */
export function fetchText({ bytesDone, bytesTotal }: FetchProgress): string {
  const part = bytesTotal === 0 ? 1 : bytesDone / bytesTotal;
  return `fetch ${bar(part)}, ${bytesText(bytesDone)} of ${bytesText(bytesTotal)}`;
}

/**
 * The rows on the terminal. Which tasks there are is only known as they report, so rows are added to the running list and their states set by
 * hand; the headline's promise is what keeps the list running.
 */
class Rows {
  /** Settles when the last frame has been drawn. */
  readonly closed: Promise<unknown>;
  readonly #title: string;
  readonly #list: Listr<unknown>;
  readonly #rows = new Map<string, Row>();
  #finish: (failed: boolean) => void = () => undefined;

  constructor(title: string) {
    this.#title = title;
    const ended = new Promise<boolean>((resolve) => (this.#finish = resolve));
    this.#list = new Listr<unknown, 'default', 'simple'>(
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
    this.closed = this.#list.run().catch(() => undefined);
  }

  /** @param name of a task or node; empty for the headline */
  show(name: string, text: string): void {
    const row = this.#rowOf(name);
    if (row !== undefined) row.title$ = `${name === '' ? this.#title : name}: ${text}`;
  }

  fail(name: string, text: string): void {
    this.show(name, text);
    const row = this.#rowOf(name);
    if (row !== undefined && name !== '') row.state$ = ListrTaskState.FAILED;
  }

  tell(message: string): void {
    const headline = this.#list.tasks[0];
    if (headline !== undefined) headline.output$ = message;
  }

  end(failed: boolean): void {
    for (const row of this.#rows.values()) {
      if (row.isStarted()) row.state$ = failed ? ListrTaskState.SKIPPED : ListrTaskState.COMPLETED;
    }
    this.#finish(failed);
  }

  #rowOf(name: string): Row | undefined {
    if (name === '') return this.#list.tasks[0];
    const known = this.#rows.get(name);
    if (known !== undefined) return known;
    this.#list.add({ title: name, task: () => undefined });
    const row = this.#list.tasks.at(-1);
    if (row === undefined) return undefined;
    // Rows are shown once they have been checked, which has to begin while they wait.
    void row.check({});
    row.state$ = ListrTaskState.STARTED;
    this.#rows.set(name, row);
    return row;
  }
}
