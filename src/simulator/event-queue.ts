/** What is done when an event is due. A method bound once and an argument: no closure per event. */
export type Handler<A> = (argument: A) => void;

/**
 * Events in the order of their times; events of one time in the order in which they were put in. A 4-ary heap in flat arrays: shallow, and
 * the comparisons of one level lie side by side in memory, so that the cost of an event hardly grows with the queue.
 */
export class EventQueue {
  #times = new Float64Array(1024);
  #orders = new Float64Array(1024);
  readonly #handlers: Handler<never>[] = [];
  readonly #arguments: unknown[] = [];
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
    if (this.#size === this.#times.length) this.#grow();
    this.#sift(this.#size++, time, this.#order++, handler, argument);
  }

  /** Takes out the next event and runs it. The queue must not be empty. */
  runNext(): void {
    const handler = this.#handlers[0] as Handler<unknown>;
    const argument = this.#arguments[0];
    this.#removeFirst();
    handler(argument);
  }

  #time(index: number): number {
    return this.#times[index] ?? 0;
  }

  /** Moves a hole from `index` towards the root until the event fits in. */
  #sift(index: number, time: number, order: number, handler: Handler<never>, argument: unknown): void {
    let hole = index;
    while (hole > 0) {
      const parent = (hole - 1) >> 2;
      if (this.#time(parent) <= time) break;
      this.#move(parent, hole);
      hole = parent;
    }
    this.#times[hole] = time;
    this.#orders[hole] = order;
    this.#handlers[hole] = handler;
    this.#arguments[hole] = argument;
  }

  #removeFirst(): void {
    const last = --this.#size;
    const time = this.#time(last);
    const order = this.#orders[last] ?? 0;
    const handler = this.#handlers.pop();
    const argument = this.#arguments.pop();
    if (last === 0 || handler === undefined) return;
    let hole = 0;
    for (;;) {
      let best = -1;
      const first = hole * 4 + 1;
      for (let child = first; child < first + 4 && child < last; child++) {
        if (best < 0 || this.#before(child, this.#time(best), this.#orders[best] ?? 0)) best = child;
      }
      if (best < 0 || !this.#before(best, time, order)) break;
      this.#move(best, hole);
      hole = best;
    }
    this.#times[hole] = time;
    this.#orders[hole] = order;
    this.#handlers[hole] = handler;
    this.#arguments[hole] = argument;
  }

  #before(index: number, time: number, order: number): boolean {
    const own = this.#time(index);
    return own < time || (own === time && (this.#orders[index] ?? 0) < order);
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#time(from);
    this.#orders[to] = this.#orders[from] ?? 0;
    const handler = this.#handlers[from];
    if (handler === undefined) throw new Error('event queue damaged');
    this.#handlers[to] = handler;
    this.#arguments[to] = this.#arguments[from];
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 2);
    const orders = new Float64Array(this.#times.length * 2);
    times.set(this.#times);
    orders.set(this.#orders);
    this.#times = times;
    this.#orders = orders;
  }
}
