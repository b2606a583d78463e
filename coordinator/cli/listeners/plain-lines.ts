import type { FetchProgress, Listener, OperationEvent } from '../../operations/index.ts';
import { bytesText } from '../output/output.ts';
import { StepTimes, doneText, failedText, nameOf } from './steps.ts';

/** Between two lines about what is being fetched. Milliseconds. */
const FETCH_LINE_MS = 5_000;

/** One line per step that has ended: `[  1.204 s] bank_branch-a.1: save, 183 ms (1.2 MB)`; and one every few seconds while parts are fetched. */
export function plainLines(write: (line: string) => void, clock: () => number): Listener {
  const start = clock();
  const times = new StepTimes(clock);
  const fetches = new Map<string, FetchProgress>();
  let fetchLineAt = start;
  const line = (text: string): void => {
    write(`[${((clock() - start) / 1000).toFixed(3).padStart(7)} s] ${text}`);
  };
  const ofSubject = (name: string, text: string): void => line(name === '' ? text : `${name}: ${text}`);
  const handle = (event: OperationEvent): void => {
    switch (event.kind) {
      case 'step-begun':
        // Nothing was said of it for a while: it has only just begun.
        if (event.step === 'fetch' && fetches.size === 0) fetchLineAt = clock();
        return times.begin(event, event.step);
      case 'step-done':
        if (event.step === 'fetch') complete(fetches, nameOf(event));
        return ofSubject(nameOf(event), doneText(event, times.end(event, event.step)));
      case 'step-failed':
        return ofSubject(nameOf(event), failedText(event, times.end(event, event.step)));
      case 'fetch-progress':
        if (!times.isUnderWay(event, 'fetch')) return;
        fetches.set(event.task, event);
        if (clock() - fetchLineAt < FETCH_LINE_MS) return;
        fetchLineAt = clock();
        return line(fetchText([...fetches.values()]));
      case 'information':
      case 'warning':
        return line(event.message);
      case 'operation-begun':
      case 'operation-ended':
        return;
    }
  };
  return { handle };
}

/** The last that was heard of a fetch which has ended may have been less than all. */
function complete(fetches: Map<string, FetchProgress>, task: string): void {
  const last = fetches.get(task);
  if (last !== undefined) fetches.set(task, { ...last, bytesDone: last.bytesTotal });
}

/** `fetch: 35 %, 1.20 GB of 3.40 GB for 2 tasks`: of all that have been fetched or are being fetched. */
function fetchText(fetches: readonly FetchProgress[]): string {
  const done = fetches.reduce((sum, { bytesDone }) => sum + bytesDone, 0);
  const total = fetches.reduce((sum, { bytesTotal }) => sum + bytesTotal, 0);
  const tasks = fetches.length === 1 ? `for ${fetches[0]?.task ?? ''}` : `for ${fetches.length} tasks`;
  return `fetch: ${Math.floor((100 * done) / Math.max(1, total))} %, ${bytesText(done)} of ${bytesText(total)} ${tasks}`;
}
