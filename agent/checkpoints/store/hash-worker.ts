/** The thread of following-hash.ts: hashes files as far as they are written, one block of each in turn. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

/** Read in one go. Bytes. */
const BLOCK_BYTES = 512 * 1024;

/** What is asked of the thread. */
export type HashOrder =
  | { readonly kind: 'begin'; readonly id: number; readonly file: string }
  /** So many bytes of it will not change any more. */
  | { readonly kind: 'upTo'; readonly id: number; readonly bytes: number }
  /** Once so many bytes are hashed, the digest is wanted. */
  | { readonly kind: 'end'; readonly id: number; readonly bytes: number }
  | { readonly kind: 'forget'; readonly id: number };

/** Told after so many more bytes, so that whoever waits sees that it gets on. */
const TELL_EVERY_BYTES = 64 * 1024 * 1024;

/** What it answers to `end`; and, before that, how far it is. */
export type HashAnswer =
  | { readonly id: number; readonly sha256: string }
  | { readonly id: number; readonly done: number }
  /** The file cannot be read, or is shorter. */
  | { readonly id: number; readonly error: string };

interface Job {
  readonly fd: number;
  readonly hash: Hash;
  done: number;
  upTo: number;
  end: number | undefined;
}

const jobs = new Map<number, Job>();
const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
let turning = false;

function answer(message: HashAnswer): void {
  parentPort?.postMessage(message);
}

function forget(id: number): void {
  const job = jobs.get(id);
  if (job !== undefined) closeSync(job.fd);
  jobs.delete(id);
}

/** @returns whether there is more to do for it at once */
function hashSome(id: number, job: Job): boolean {
  const upTo = Math.max(job.upTo, job.end ?? 0);
  const length = Math.min(BLOCK_BYTES, upTo - job.done);
  if (length > 0) {
    const bytes = readSync(job.fd, block, 0, length, job.done);
    if (bytes === 0) throw new Error(`it has ${job.done} bytes, and ${upTo} were written`);
    job.hash.update(block.subarray(0, bytes));
    job.done += bytes;
    if (job.done % TELL_EVERY_BYTES < bytes) answer({ id, done: job.done });
  }
  if (job.end === undefined || job.done < job.end) return job.done < upTo;
  forget(id);
  answer({ id, sha256: job.hash.digest('hex') });
  return false;
}

function turn(): void {
  let more = false;
  for (const [id, job] of jobs) {
    try {
      if (hashSome(id, job)) more = true;
    } catch (error) {
      forget(id);
      answer({ id, error: error instanceof Error ? error.message : String(error) });
    }
  }
  turning = more;
  // Orders are taken in between.
  if (more) setImmediate(turn);
}

parentPort?.on('message', (order: HashOrder) => {
  try {
    take(order);
  } catch (error) {
    forget(order.id);
    answer({ id: order.id, error: error instanceof Error ? error.message : String(error) });
  }
  if (!turning) turn();
});

function take(order: HashOrder): void {
  const { id } = order;
  if (order.kind === 'begin') {
    jobs.set(id, { fd: openSync(order.file, 'r'), hash: createHash('sha256'), done: 0, upTo: 0, end: undefined });
    return;
  }
  const job = jobs.get(id);
  if (job === undefined) return;
  if (order.kind === 'upTo') job.upTo = Math.max(job.upTo, order.bytes);
  else if (order.kind === 'end') job.end = order.bytes;
  else forget(id);
}
