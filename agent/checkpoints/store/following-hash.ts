import { Worker } from 'node:worker_threads';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { megabytes } from '../../../src/model/size.ts';
import type { Progress } from '../../../src/platform/deadlines.ts';
import { deferred, type Deferred } from '../../../src/platform/deferred.ts';
import type { HashAnswer, HashOrder } from './hash-worker.ts';

/** The thread ends when nothing was hashed for so long. Milliseconds. */
const IDLE_MS = 10_000;

/** It reads one block at a time and keeps nothing. MB. */
const HEAP_MB = 16;

/**
 * The SHA-256 of a file that is still being written, or has just been: a thread of its own reads what is there while the rest comes, so that the digest is there soon
 * after the last byte, and nobody else waits for it.
 */
export class FollowingHash implements Disposable {
  readonly #thread: HashThread;
  readonly #id: number;
  readonly #file: string;
  #done = 0;

  /** @param file must be there, and grow only at its end */
  constructor(file: string, thread: HashThread = sharedThread()) {
    this.#thread = thread;
    this.#file = file;
    this.#id = thread.begin(file, (done) => (this.#done = done));
  }

  /** So many bytes of it will not change any more. */
  upTo(bytes: number): void {
    this.#thread.tell({ kind: 'upTo', id: this.#id, bytes });
  }

  /** @param bytes its size @returns lower-case hex @throws SwarmcutError `failed` when it cannot be read, or is shorter */
  async digest(bytes: number): Promise<string> {
    const answer = await this.#thread.end(this.#id, bytes);
    if ('sha256' in answer) return answer.sha256;
    throw new SwarmcutError('failed', `cannot hash ${this.#file}: ${answer.error}`, { where: { file: this.#file } });
  }

  /** How far it is. */
  progress(): Progress {
    return { doing: `${megabytes(this.#done)} of ${this.#file} are hashed`, mark: String(this.#done) };
  }

  [Symbol.dispose](): void {
    this.#thread.forget(this.#id);
  }
}

type HashEnd = Exclude<HashAnswer, { readonly done: number }>;

let shared: HashThread | undefined;

function sharedThread(): HashThread {
  return (shared ??= new HashThread());
}

/** The thread, which is there while there is something to hash. */
class HashThread {
  readonly #waiting = new Map<number, Deferred<HashEnd>>();
  readonly #ended = new Map<number, HashEnd>();
  /** What is under way: who is told how far it is. */
  readonly #open = new Map<number, (done: number) => void>();
  #worker: Worker | undefined;
  #last = 0;
  #idle: NodeJS.Timeout | undefined;

  begin(file: string, onDone: (done: number) => void): number {
    const id = ++this.#last;
    clearTimeout(this.#idle);
    this.#open.set(id, onDone);
    this.#worker ??= this.#start();
    this.#worker.ref();
    this.tell({ kind: 'begin', id, file });
    return id;
  }

  tell(order: HashOrder): void {
    this.#worker?.postMessage(order);
  }

  async end(id: number, bytes: number): Promise<HashEnd> {
    const known = this.#ended.get(id);
    if (known !== undefined) return known;
    const waiting = deferred<HashEnd>();
    this.#waiting.set(id, waiting);
    this.tell({ kind: 'end', id, bytes });
    return waiting.promise;
  }

  forget(id: number): void {
    if (!this.#open.delete(id)) return;
    this.#ended.delete(id);
    this.#waiting.get(id)?.resolve({ id, error: 'it is not wanted any more' });
    this.#waiting.delete(id);
    this.tell({ kind: 'forget', id });
    if (this.#open.size > 0) return;
    this.#worker?.unref();
    this.#idle = setTimeout(() => this.#stop(), IDLE_MS).unref();
  }

  #start(): Worker {
    // Tests run the sources, everything else what was built of them.
    const script = import.meta.url.endsWith('.ts') ? './hash-worker.ts' : './hash-worker.js';
    const worker = new Worker(new URL(script, import.meta.url), {
      name: 'hashes',
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
    });
    worker.on('message', (answer: HashAnswer) => this.#answered(answer));
    worker.once('error', (error) => this.#failed(worker, error.message));
    worker.once('exit', () => this.#failed(worker, 'the thread has ended'));
    return worker;
  }

  #answered(answer: HashAnswer): void {
    const onDone = this.#open.get(answer.id);
    if (onDone === undefined) return;
    if ('done' in answer) {
      onDone(answer.done);
      return;
    }
    this.#ended.set(answer.id, answer);
    this.#waiting.get(answer.id)?.resolve(answer);
    this.#waiting.delete(answer.id);
  }

  /** What was asked of it will not be answered; what comes next gets another thread. */
  #failed(worker: Worker, error: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const id of [...this.#open.keys()]) this.#answered({ id, error });
  }

  #stop(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
  }
}
