/** What a branch answers on its control port: one JSON line per request. */
import type { ChannelBooks } from './ledger.ts';

/** Requests, one word of JSON per line: `{"op":"status"}`. `report` is `status` plus a look at the branch's files. */
export type ControlOp = 'status' | 'pause' | 'report' | 'resume' | 'reset-gap';

/** One connection as one of its two branches sees it. */
export interface ChannelReport extends ChannelBooks {
  /** Identity of the branch at the other end. */
  readonly peer: string;
  readonly open: boolean;
  /** Bytes that wait in the program, before the kernel's send queue. */
  readonly queuedBytes: number;
}

/** One branch at one instant: it is built in one turn, so its numbers belong together. */
export interface BranchReport {
  readonly id: string;
  readonly service: string;
  /** The task's own address on the connection that asks. */
  readonly address?: string;
  readonly initial: number;
  readonly balance: number;
  /** True while a checker has asked it not to originate transfers. */
  readonly paused: boolean;
  /** Peers that it waits for before it stops looking for more. */
  readonly expectedPeers: number;
  readonly channels: readonly ChannelReport[];
  /** All errors so far, and the first of them as text. */
  readonly errorCount: number;
  readonly errors: readonly string[];
  /** Lines written to the journal so far. */
  readonly ticks: number;
  /** Longest time in which one of its connections brought nothing, since `reset-gap`. By its own monotonic clock. */
  readonly worstGapMs: number;
  /** `report` only: what its files say that its memory does not. Empty: they agree. */
  readonly fileProblems?: readonly string[];
}
