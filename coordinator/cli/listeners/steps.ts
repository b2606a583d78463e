import type { StepDone, StepFailed, Subject } from '../../operations/index.ts';
import { durationText } from '../output/output.ts';

/** The task or node that a step concerns; empty for the operation as a whole. */
export function nameOf({ task, node }: Subject): string {
  return task ?? node ?? '';
}

/** `save, 183 ms (1.2 MB)`. */
export function doneText({ step, detail }: StepDone, milliseconds: number | undefined): string {
  return `${step}${timeText(milliseconds)}${detail === undefined ? '' : ` (${detail})`}`;
}

/** `save FAILED, 183 ms: no space left`. */
export function failedText({ step, reason }: StepFailed, milliseconds: number | undefined): string {
  return `${step} FAILED${timeText(milliseconds)}: ${reason}`;
}

/** When the steps under way began. */
export class StepTimes {
  readonly #begun = new Map<string, number>();
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  begin(subject: Subject, step: string): void {
    this.#begun.set(keyOf(subject, step), this.#clock());
  }

  isUnderWay(subject: Subject, step: string): boolean {
    return this.#begun.has(keyOf(subject, step));
  }

  /** Milliseconds since its beginning, if that was reported. */
  end(subject: Subject, step: string): number | undefined {
    const key = keyOf(subject, step);
    const begun = this.#begun.get(key);
    this.#begun.delete(key);
    return begun === undefined ? undefined : this.#clock() - begun;
  }
}

function keyOf(subject: Subject, step: string): string {
  return `${nameOf(subject)}\0${step}`;
}

function timeText(milliseconds: number | undefined): string {
  return milliseconds === undefined ? '' : `, ${durationText(milliseconds)}`;
}
