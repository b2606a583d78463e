/**
 * What the numbered programs (pair, redis) tell about themselves: a file that is replaced four times a second, a line on
 * stdout each second, and a small HTTP port. Reading them disturbs nothing that is measured.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';

const FILE_EVERY_MS = 250;
const LOG_EVERY_FILES = 4;
/** A gap longer than this is listed. */
export const GAP_LISTED_MS = 20;
const MAX_GAPS_KEPT = 200;
const MAX_ERRORS_KEPT = 50;

/** A time without an answer. */
export interface Gap {
  /** Wall clock, milliseconds since 1970: when the last answer before the gap came. */
  readonly startMs: number;
  /** Its length by the monotonic clock. After a restore on another machine this clock may have jumped. */
  readonly gapMs: number;
  /** Its length by the wall clock. */
  readonly wallGapMs: number;
  /** The number whose answer ended it. */
  readonly n: number;
}

/** The status file's and the HTTP port's content. */
export interface Status {
  readonly role: string;
  /** Wall clock of this status: an old one means that the program stands still. */
  readonly atMs: number;
  /** The last number answered. */
  readonly n: number;
  readonly errors: number;
  /** The first of the errors as text. */
  readonly errorList: readonly string[];
  /** Longest gap since the start or the last reset, by the monotonic clock. */
  readonly worstGapMs: number;
  /** The same by the wall clock: use this one after a restore on another machine. */
  readonly worstWallGapMs: number;
  /** Wall clock of the last reset, or of the start. */
  readonly resetMs: number;
  /** The last gaps over 20 ms, oldest first. */
  readonly gaps: readonly Gap[];
  /** Wall clock of the present connection's start; null: not connected. */
  readonly connectedSinceMs: number | null;
  /** Connections made again after one was lost. */
  readonly reconnects: number;
  /** Replies that were what they must be, by connection or kind of connection; empty for a program with only one. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Collects figures of one program and publishes them. */
export class StatusBoard {
  n = -1;
  connectedSinceMs: number | null = null;
  reconnects = 0;
  counts: Record<string, number> = {};
  private readonly role: string;
  private errors = 0;
  private readonly errorList: string[] = [];
  private worstGapMs = 0;
  private worstWallGapMs = 0;
  private resetMs = Date.now();
  private gaps: Gap[] = [];
  private last: { monotonicMs: number; wallMs: number } | undefined;

  constructor(role: string) {
    this.role = role;
  }

  /** An answer has come: measures the time since the one before. */
  answered(n: number): void {
    const now = { monotonicMs: performance.now(), wallMs: Date.now() };
    this.n = n;
    if (this.last !== undefined) {
      const gapMs = round(now.monotonicMs - this.last.monotonicMs);
      const wallGapMs = now.wallMs - this.last.wallMs;
      this.worstGapMs = Math.max(this.worstGapMs, gapMs);
      this.worstWallGapMs = Math.max(this.worstWallGapMs, wallGapMs);
      if (Math.max(gapMs, wallGapMs) > GAP_LISTED_MS) {
        this.gaps.push({ startMs: this.last.wallMs, gapMs, wallGapMs, n });
        if (this.gaps.length > MAX_GAPS_KEPT) this.gaps.shift();
      }
    }
    this.last = now;
  }

  /** Something that must not happen has happened. */
  error(text: string): void {
    this.errors += 1;
    if (this.errorList.length < MAX_ERRORS_KEPT) this.errorList.push(text);
    console.error(JSON.stringify({ at: new Date().toISOString(), role: this.role, error: text }));
  }

  connected(): void {
    this.connectedSinceMs = Date.now();
  }

  /** Starts the worst gap and the list of gaps anew. Errors stay. */
  reset(): void {
    this.worstGapMs = 0;
    this.worstWallGapMs = 0;
    this.gaps = [];
    this.resetMs = Date.now();
  }

  status(): Status {
    return {
      role: this.role,
      atMs: Date.now(),
      n: this.n,
      errors: this.errors,
      errorList: this.errorList,
      worstGapMs: this.worstGapMs,
      worstWallGapMs: this.worstWallGapMs,
      resetMs: this.resetMs,
      gaps: this.gaps,
      connectedSinceMs: this.connectedSinceMs,
      reconnects: this.reconnects,
      counts: this.counts,
    };
  }

  /**
   * Publishes until the process ends: the file (STATUS_FILE, default /tmp/status.json, empty for none), stdout, and
   * HTTP (STATUS_HOST:STATUS_PORT, default 0.0.0.0:8080): GET /status, /reset (answers with the status before it).
   */
  publish(): void {
    const {
      STATUS_FILE: file = '/tmp/status.json',
      STATUS_HOST: host = '0.0.0.0',
      STATUS_PORT: port = '8080',
    } = process.env;
    let turns = 0;
    setInterval(() => {
      const status = this.status();
      if (file !== '') {
        // A reader sees the old or the new one, never a half.
        writeFileSync(`${file}.new`, `${JSON.stringify(status)}\n`);
        renameSync(`${file}.new`, file);
      }
      turns += 1;
      if (turns % LOG_EVERY_FILES === 0) {
        const { gaps, errorList: _, ...line } = status;
        console.log(JSON.stringify({ ...line, gaps: gaps.length }));
      }
    }, FILE_EVERY_MS);
    createServer((request, response) => {
      const known = request.url === '/status' || request.url === '/reset';
      response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify(known ? this.status() : { error: 'GET /status or /reset' })}\n`);
      if (request.url === '/reset') this.reset();
    }).listen(Number(port), host);
    // As process 1 of a container, node gets no default action for these.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0));
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
