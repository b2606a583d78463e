import { combine, mix, type Prng } from './prng.ts';

/** Positions of the words of an {@link AppState}. */
const RANDOM = 0;
const DIGEST = 1;
const BALANCE = 2;
const TICKS = 3;
const RECEIVED = 4;
/** Words before those of the neighbours, and per neighbour. */
const HEAD_WORDS = 8;
const NEIGHBOUR_WORDS = 4;
const [SENT, SENT_HASH, DELIVERED, DELIVERED_HASH] = [0, 1, 2, 3] as const;
/** Regions begin at multiples of a cache line. */
const LINE_WORDS = 16;

const INITIAL_BALANCE = 1_000_000;

/**
 * Everything that an application process remembers: what a dump holds. Its random numbers are part of it, so that a process that is
 * restored and given the same messages at the same points does the same again (piecewise determinism, Elnozahy et al. 2002, section 2.3).
 *
 * The words of all processes lie in one array ({@link AppMemory}), those of one process side by side: with 10 000 processes an event costs
 * what it costs to fetch its memory. This object is only a view of them.
 */
export class AppState implements Prng {
  readonly #words: Int32Array;
  #base: number;
  #neighbours: number;

  constructor(words: Int32Array, base: number, neighbours: number) {
    this.#words = words;
    this.#base = base;
    this.#neighbours = neighbours;
  }

  /** Of the process's random numbers. */
  get state(): number {
    return this.#words[this.#base + RANDOM] ?? 0;
  }

  set state(value: number) {
    this.#words[this.#base + RANDOM] = value;
  }

  /** Digest of all that has happened to the process: equal histories, equal digests. */
  get digest(): number {
    return this.#words[this.#base + DIGEST] ?? 0;
  }

  /** Something has happened. */
  note(what: number): void {
    this.#words[this.#base + DIGEST] = combine(this.digest, what);
  }

  /** Money of `bank`. */
  get balance(): number {
    return this.#words[this.#base + BALANCE] ?? 0;
  }

  set balance(value: number) {
    this.#words[this.#base + BALANCE] = value;
  }

  /** Spontaneous actions done. */
  get ticks(): number {
    return this.#words[this.#base + TICKS] ?? 0;
  }

  set ticks(value: number) {
    this.#words[this.#base + TICKS] = value;
  }

  /** Messages delivered, from all neighbours together. */
  get received(): number {
    return this.#words[this.#base + RECEIVED] ?? 0;
  }

  /** Messages sent to the neighbour at this position: the number of the last one. */
  sentTo(position: number): number {
    return this.#words[this.#at(position) + SENT] ?? 0;
  }

  /** Sum of the hashes of all that was sent to that neighbour; wraps around. */
  sentHash(position: number): number {
    return this.#words[this.#at(position) + SENT_HASH] ?? 0;
  }

  /** Messages of the neighbour at this position that were delivered. */
  receivedFrom(position: number): number {
    return this.#words[this.#at(position) + DELIVERED] ?? 0;
  }

  receivedHash(position: number): number {
    return this.#words[this.#at(position) + DELIVERED_HASH] ?? 0;
  }

  /** One more message to that neighbour. Returns its number. */
  countSent(position: number, payload: number): number {
    const at = this.#at(position);
    const number = this.sentTo(position) + 1;
    this.#words[at + SENT] = number;
    this.#words[at + SENT_HASH] = this.sentHash(position) + messageHash(number, payload);
    return number;
  }

  /** One more delivery from that neighbour, of a message with this hash. */
  countReceived(position: number, hash: number): void {
    const at = this.#at(position);
    this.#words[this.#base + RECEIVED] = this.received + 1;
    this.#words[at + DELIVERED] = this.receivedFrom(position) + 1;
    this.#words[at + DELIVERED_HASH] = this.receivedHash(position) + hash;
  }

  /** A copy with words of its own. */
  copy(): AppState {
    const end = this.#base + HEAD_WORDS + this.#neighbours * NEIGHBOUR_WORDS;
    return new AppState(this.#words.slice(this.#base, end), 0, this.#neighbours);
  }

  /** Becomes what `saved` was. */
  load(saved: AppState): void {
    const size = HEAD_WORDS + this.#neighbours * NEIGHBOUR_WORDS;
    this.#words.set(saved.#words.subarray(saved.#base, saved.#base + size), this.#base);
  }

  /** Looks at another region of the same words. */
  move(base: number, neighbours: number): void {
    this.#base = base;
    this.#neighbours = neighbours;
  }

  #at(position: number): number {
    return this.#base + HEAD_WORDS + position * NEIGHBOUR_WORDS;
  }
}

/** The memories of all processes of a run, in their initial states. */
export class AppMemory {
  readonly #words: Int32Array;
  readonly #bases: Int32Array;
  readonly #neighbours: Int32Array;
  readonly #cursor: AppState;

  /** @param neighbours by process: how many it has */
  constructor(seed: number, neighbours: readonly number[]) {
    this.#neighbours = Int32Array.from(neighbours);
    let size = 0;
    this.#bases = this.#neighbours.map((count) => {
      const base = size;
      size += Math.ceil((HEAD_WORDS + count * NEIGHBOUR_WORDS) / LINE_WORDS) * LINE_WORDS;
      return base;
    });
    this.#words = new Int32Array(size);
    this.#bases.forEach((base, process) => {
      this.#words[base + RANDOM] = combine(mix(seed), process);
      this.#words[base + DIGEST] = mix(process);
      this.#words[base + BALANCE] = INITIAL_BALANCE;
    });
    this.#cursor = this.of(0);
  }

  /** The memory of this process: changes with it. */
  of(process: number): AppState {
    return new AppState(this.#words, this.#bases[process] ?? 0, this.#neighbours[process] ?? 0);
  }

  /** The same, good until the next call: spares the fetching of one more object. */
  at(process: number): AppState {
    this.#cursor.move(this.#bases[process] ?? 0, this.#neighbours[process] ?? 0);
    return this.#cursor;
  }
}

/** Says what a message is: which one of its channel, and its contents. */
export function messageHash(number: number, payload: number): number {
  return combine(number, payload) | 0;
}
