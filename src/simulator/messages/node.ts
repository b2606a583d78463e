import type {
  Determinant,
  Envelope,
  MessageAlgorithm,
  MessageEffect,
  MessageParticipant,
  MessageParticipantState,
} from '../../algorithms/message/contract.ts';
import type { Dependency } from '../../algorithms/message/recovery-line.ts';
import type { AppState } from '../world/app-state.ts';
import type { Process } from '../world/process.ts';

/** One local checkpoint. */
export interface Checkpoint {
  /** 0 is the initial state; interval k begins with checkpoint k. */
  readonly number: number;
  readonly time: number;
  readonly app: AppState;
  readonly state: MessageParticipantState;
  /** The dump has ended. Only the process itself, alive, can use one that has not. */
  complete: boolean;
}

/** One nondeterministic event in a process's past. */
export interface Event {
  readonly determinant: Determinant;
  /** Of the application's state after it; set when it has been carried out. */
  digest: number | undefined;
  /** What the digest must be when this is a replay. */
  readonly expected: number | undefined;
  readonly time: number;
}

/** A process with its participant, its logger and its past. */
export interface Node {
  readonly process: Process;
  readonly participant: MessageParticipant;
  inbox: Envelope[];
  checkpoints: Checkpoint[];
  interval: number;
  dependencies: Dependency[];
  /** By sender: the newest of them. */
  readonly lastDependencies: Map<number, Dependency>;
  /** What was begun in an earlier life is void. */
  life: number;
  /** Its past since the oldest checkpoint, by state number; what the checkers compare a replay with. */
  events: Event[];
  /** Determinants on stable storage, in order. */
  stable: Determinant[];
  logPending: Determinant[];
  logWriting: boolean;
  /** What is still to be repeated; undefined when the process runs freely. */
  replay: Determinant[] | undefined;
  /** What follows a checkpoint that is being taken: the delivery that forced it. */
  awaited: MessageEffect[];
  replayReady: boolean;
  /** By state number: the digests that the replay must come to. */
  expected: ReadonlyMap<number, number> | undefined;
}

/** A process that has done nothing yet: its present state is its checkpoint 0. */
export function newNode(process: Process, algorithm: MessageAlgorithm): Node {
  const participant = algorithm.participant(process.index);
  const state = participant.capture();
  return {
    process,
    participant,
    inbox: [],
    checkpoints: [{ number: 0, time: 0, app: process.state.copy(), state, complete: true }],
    interval: 0,
    dependencies: [],
    lastDependencies: new Map(),
    life: 0,
    events: [],
    stable: [],
    logPending: [],
    logWriting: false,
    replay: undefined,
    awaited: [],
    replayReady: false,
    expected: undefined,
  };
}

/** The newest checkpoint whose dump has ended. */
export function lastComplete({ checkpoints }: Node): Checkpoint | undefined {
  return checkpoints.findLast(({ complete }) => complete);
}

/** What the process was about to do is lost: it has crashed, or goes back. */
export function dropUnfinished(node: Node): void {
  node.life++;
  node.inbox = [];
  node.awaited = [];
  node.logPending = [];
  node.logWriting = false;
}
