/** What is done when an event is due. A method bound once and an argument: no closure per event. */
export type Handler<A> = (argument: A) => void;

/** The four children of an event lie in one cache line: their keys begin at a multiple of its 64 bytes. */
const SHIFT = 3;

/**
 * Events in the order of their times; events of one time in the order in which they were put in. A 4-ary heap in flat arrays, two slots per
 * event: shallow, and what one level needs lies side by side in memory, so that the cost of an event hardly grows with the queue.
 */
export class EventQueue {
  /** Time and order of each event. */
  #keys = new Float64Array(2 * 1024);
  /** Handler and argument of each event. */
  readonly #actions: unknown[] = [];
  #size = 0;
  #order = 0;

  get size(): number {
    return this.#size;
  }

  /** Time of the next event; infinity when there is none. */
  get nextTime(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#time(0);
  }

  push<A>(time: number, handler: Handler<A>, argument: A): void {
    let hole = this.#size++;
    if (2 * (hole + SHIFT) >= this.#keys.length) this.#grow();
    if (this.#actions.length < 2 * this.#size) this.#actions.push(undefined, undefined);
    while (hole > 0) {
      const parent = (hole - 1) >> 2;
      if (this.#time(parent) <= time) break;
      this.#move(parent, hole);
      hole = parent;
    }
    this.#put(hole, time, this.#order++, handler, argument);
  }

  /** Takes out the next event and runs it. The queue must not be empty. */
  runNext(): void {
    const handler = this.#actions[0] as Handler<unknown>;
    const argument = this.#actions[1];
    this.#removeFirst();
    handler(argument);
  }

  #time(index: number): number {
    return this.#keys[2 * (index + SHIFT)] ?? 0;
  }

  #orderOf(index: number): number {
    return this.#keys[2 * (index + SHIFT) + 1] ?? 0;
  }

  #removeFirst(): void {
    const last = --this.#size;
    const time = this.#time(last);
    const order = this.#orderOf(last);
    const argument = this.#actions.pop();
    const handler = this.#actions.pop();
    if (last === 0) return;
    let hole = 0;
    for (;;) {
      const first = hole * 4 + 1;
      if (first >= last) break;
      let best = first;
      let bestTime = this.#time(first);
      for (let child = first + 1; child < first + 4 && child < last; child++) {
        const own = this.#time(child);
        if (own > bestTime || (own === bestTime && this.#orderOf(child) > this.#orderOf(best))) continue;
        best = child;
        bestTime = own;
      }
      if (bestTime > time || (bestTime === time && this.#orderOf(best) > order)) break;
      this.#move(best, hole);
      hole = best;
    }
    this.#put(hole, time, order, handler, argument);
  }

  #put(index: number, time: number, order: number, handler: unknown, argument: unknown): void {
    const at = 2 * (index + SHIFT);
    this.#keys[at] = time;
    this.#keys[at + 1] = order;
    this.#actions[2 * index] = handler;
    this.#actions[2 * index + 1] = argument;
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#time(from), this.#orderOf(from), this.#actions[2 * from], this.#actions[2 * from + 1]);
  }

  #grow(): void {
    const keys = new Float64Array(this.#keys.length * 2);
    keys.set(this.#keys);
    this.#keys = keys;
  }
}
