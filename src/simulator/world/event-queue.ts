/** What is done when an event is due. A method bound once and an argument: no closure per event. */
export type Handler<A> = (argument: A) => void;

/** The four children of an event lie in one cache line: the heap begins where the root's children come to a multiple of its 64 bytes. */
const SHIFT = 3;
const FIRST_CAPACITY = 1024;
/** Of a bucket, in units of time (microseconds), and how many there are: what is due within four seconds has its bucket. */
const BUCKET_TIME = 1024;
const BUCKETS = 4096;
const NONE = -1;
/** Numbers per slot: time, order, next slot of the same list. Half a cache line. */
const SLOT_NUMBERS = 4;
const [TIME, ORDER, NEXT] = [0, 1, 2] as const;

/**
 * Events in the order of their times; events of one time in the order in which they were put in. Only what is due within the next
 * millisecond stands in order, in a small heap; the rest waits in buckets by time, unordered (a calendar queue: Brown 1988). So an event
 * costs much the same however many there are.
 *
 * An event keeps its slot, which holds its handler and argument; heap and lists move numbers only.
 */
export class EventQueue {
  /** Time and slot of each event that is due before {@link #nearEnd}: a 4-ary heap. */
  #heap = new Float64Array(2 * FIRST_CAPACITY);
  #heapSize = 0;
  #slots = new Float64Array(SLOT_NUMBERS * FIRST_CAPACITY);
  /** By slot: handler and argument. */
  readonly #actions: unknown[] = [];
  /** Slots that are free, the last one used first: it is likely to be in the cache. */
  readonly #free: number[] = [];
  /** By number of the bucket, modulo how many there are: the first slot of its list. */
  readonly #buckets = new Int32Array(BUCKETS).fill(NONE);
  /** Number of the bucket whose events were last put into the heap. */
  #bucket = 0;
  #nearEnd = BUCKET_TIME;
  #inBuckets = 0;
  /** List of what is due later than all buckets, and the time of the first of it. */
  #beyond = NONE;
  #beyondFrom = Number.POSITIVE_INFINITY;
  #size = 0;
  #order = 0;

  get size(): number {
    return this.#size;
  }

  /** Time of the next event; infinity when there is none. */
  get nextTime(): number {
    return this.#heapSize === 0 ? Number.POSITIVE_INFINITY : this.#time(0);
  }

  /** @param time not before that of the event that was run last */
  push<A>(time: number, handler: Handler<A>, argument: A): void {
    const slot = this.#free.pop() ?? this.#newSlot();
    this.#actions[2 * slot] = handler;
    this.#actions[2 * slot + 1] = argument;
    const at = slot * SLOT_NUMBERS;
    this.#slots[at + TIME] = time;
    this.#slots[at + ORDER] = this.#order++;
    this.#size++;
    this.#insert(slot, time);
    if (this.#heapSize === 0) this.#refill();
  }

  /** Takes out the next event and runs it. The queue must not be empty. */
  runNext(): void {
    const slot = this.#slot(0);
    const handler = this.#actions[2 * slot] as Handler<unknown>;
    const argument = this.#actions[2 * slot + 1];
    this.#actions[2 * slot + 1] = undefined;
    this.#free.push(slot);
    this.#size--;
    this.#removeFirst();
    if (this.#heapSize === 0 && this.#size > 0) this.#refill();
    handler(argument);
  }

  #insert(slot: number, time: number): void {
    if (time < this.#nearEnd) {
      this.#sift(slot, time);
      return;
    }
    const bucket = Math.floor(time / BUCKET_TIME);
    const next = slot * SLOT_NUMBERS + NEXT;
    if (bucket - this.#bucket < BUCKETS) {
      this.#slots[next] = this.#buckets[bucket % BUCKETS] ?? NONE;
      this.#buckets[bucket % BUCKETS] = slot;
      this.#inBuckets++;
    } else {
      this.#slots[next] = this.#beyond;
      this.#beyond = slot;
      this.#beyondFrom = Math.min(this.#beyondFrom, time);
    }
  }

  /** Puts the events of the next bucket that has any into the heap. */
  #refill(): void {
    while (this.#heapSize === 0) {
      const jump = this.#inBuckets === 0 ? Math.floor(this.#beyondFrom / BUCKET_TIME) : this.#bucket + 1;
      this.#bucket = jump;
      this.#nearEnd = (jump + 1) * BUCKET_TIME;
      // Before a bucket is needed that was not there when they came.
      if (this.#beyondFrom < this.#nearEnd + (BUCKETS / 2) * BUCKET_TIME) this.#sortBeyond();
      const list = this.#buckets[jump % BUCKETS] ?? NONE;
      if (list === NONE) continue;
      this.#buckets[jump % BUCKETS] = NONE;
      this.#forEach(list, (slot, time) => {
        this.#inBuckets--;
        this.#sift(slot, time);
      });
    }
  }

  /** What was due later than all buckets may have one now. */
  #sortBeyond(): void {
    const list = this.#beyond;
    this.#beyond = NONE;
    this.#beyondFrom = Number.POSITIVE_INFINITY;
    this.#forEach(list, (slot, time) => this.#insert(slot, time));
  }

  #forEach(list: number, action: (slot: number, time: number) => void): void {
    for (let slot = list; slot !== NONE;) {
      const at = slot * SLOT_NUMBERS;
      const next = this.#slots[at + NEXT] ?? NONE;
      action(slot, this.#slots[at + TIME] ?? 0);
      slot = next;
    }
  }

  #time(index: number): number {
    return this.#heap[2 * (index + SHIFT)] ?? 0;
  }

  #slot(index: number): number {
    return this.#heap[2 * (index + SHIFT) + 1] ?? 0;
  }

  #put(index: number, time: number, slot: number): void {
    const at = 2 * (index + SHIFT);
    this.#heap[at] = time;
    this.#heap[at + 1] = slot;
  }

  /** The first of two events of one time. */
  #isBefore(slot: number, other: number): boolean {
    return (this.#slots[slot * SLOT_NUMBERS + ORDER] ?? 0) < (this.#slots[other * SLOT_NUMBERS + ORDER] ?? 0);
  }

  #sift(slot: number, time: number): void {
    let hole = this.#heapSize++;
    if (2 * (hole + SHIFT) >= this.#heap.length) this.#heap = doubled(this.#heap);
    while (hole > 0) {
      const parent = (hole - 1) >> 2;
      const parentTime = this.#time(parent);
      const parentSlot = this.#slot(parent);
      if (parentTime < time || (parentTime === time && this.#isBefore(parentSlot, slot))) break;
      this.#put(hole, parentTime, parentSlot);
      hole = parent;
    }
    this.#put(hole, time, slot);
  }

  #removeFirst(): void {
    const last = --this.#heapSize;
    const time = this.#time(last);
    const slot = this.#slot(last);
    let hole = 0;
    for (;;) {
      const first = hole * 4 + 1;
      if (first >= last) break;
      let best = first;
      let bestTime = this.#time(first);
      for (let child = first + 1; child < first + 4 && child < last; child++) {
        const own = this.#time(child);
        if (own > bestTime || (own === bestTime && !this.#isBefore(this.#slot(child), this.#slot(best)))) continue;
        best = child;
        bestTime = own;
      }
      const bestSlot = this.#slot(best);
      if (bestTime > time || (bestTime === time && !this.#isBefore(bestSlot, slot))) break;
      this.#put(hole, bestTime, bestSlot);
      hole = best;
    }
    this.#put(hole, time, slot);
  }

  #newSlot(): number {
    const slot = this.#actions.length / 2;
    if ((slot + 1) * SLOT_NUMBERS > this.#slots.length) this.#slots = doubled(this.#slots);
    this.#actions.push(undefined, undefined);
    return slot;
  }
}

function doubled(array: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}
