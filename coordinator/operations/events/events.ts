/** What an operation tells while it runs. Whoever listens decides what becomes of it: a terminal, plain lines, JSON lines, the log. */
export type OperationEvent =
  OperationBegun | OperationEnded | StepBegun | StepDone | StepFailed | FetchProgress | Information | Warning;

/** The first event of every operation. */
export interface OperationBegun {
  readonly kind: 'operation-begun';
  /** What is being done, for people: `snapshot of bank`. */
  readonly title: string;
}

/** The last event of every operation. */
export interface OperationEnded {
  readonly kind: 'operation-ended';
  readonly title: string;
  /** Of a failed one: what its error says, with its code (docs/cli.md). Absent when all went well. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** Whom a step concerns: a task by its key (`service.slot`), a node by its host name, or, with neither, the operation as a whole. */
export interface Subject {
  readonly task?: string;
  readonly node?: string;
}

export interface StepBegun extends Subject {
  readonly kind: 'step-begun';
  /** What is being done, for people: `freeze and dump`. The same at the step's end. */
  readonly step: string;
}

export interface StepDone extends Subject {
  readonly kind: 'step-done';
  readonly step: string;
  /** What came of it, for people: `12.3 MB`. */
  readonly detail?: string | undefined;
}

/** The operation usually fails after it. */
export interface StepFailed extends Subject {
  readonly kind: 'step-failed';
  readonly step: string;
  readonly reason: string;
}

/**
 * How far a task's parts have come to the node on which it is restored; several times a second while its step `fetch` is under way. One that
 * was on its way when the step ended may come after it.
 */
export interface FetchProgress {
  readonly kind: 'fetch-progress';
  readonly task: string;
  /** To which the parts are fetched. */
  readonly node: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** Worth knowing; nothing is wrong. */
export interface Information {
  readonly kind: 'information';
  readonly message: string;
}

/** Something did not go as it should, and the operation goes on. */
export interface Warning {
  readonly kind: 'warning';
  readonly message: string;
}

/** Where an operation sends its events. Never throws, never waits. */
export type Emit = (event: OperationEvent) => void;

/** Somebody who wants to know what an operation is at. */
export interface Listener {
  /** Called for each event in turn. Must not wait. */
  readonly handle: (event: OperationEvent) => void;
  /** After the last event: ends when everything has been shown. */
  readonly close?: () => Promise<void>;
}
