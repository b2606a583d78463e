/** Who takes what arrives on a channel. `T` is a run of undecoded bytes in the sidecar, a message in the simulator. */
export interface ArrivalsOwner<T> {
  /**
   * Takes one arrival, and may block the channel in doing so (a marker).
   * @returns what of it must wait, undefined when all was taken
   */
  take(arrival: T): T | undefined;
  /** The same arrival, valid beyond this call. */
  keep(arrival: T): T;
}

/**
 * What arrives on a channel, in order: nothing that stands behind a marker is taken before the algorithm is done with the marker, and nothing at
 * all while the channel is paused.
 */
export class Arrivals<T> {
  readonly #owner: ArrivalsOwner<T>;
  #waiting: T[] = [];
  #blocked = false;
  #paused = false;
  /** {@link ArrivalsOwner.take} is at work. */
  #taking = false;

  constructor(owner: ArrivalsOwner<T>) {
    this.#owner = owner;
  }

  /** A marker is being dealt with. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** What arrives now, even the channel's end, has to wait. */
  get waits(): boolean {
    return this.#blocked || this.#paused || this.#waiting.length > 0;
  }

  handle(arrival: T): void {
    if (this.#taking || this.waits) {
      this.#waiting.push(this.#owner.keep(arrival));
      return;
    }
    this.#take(arrival);
    this.#goOn();
  }

  /** A marker has come. */
  block(): void {
    this.#blocked = true;
  }

  /** The marker is dealt with. */
  unblock(): void {
    this.#blocked = false;
    this.#goOn();
  }

  /** By the algorithm: the recording is full. */
  pause(on: boolean): void {
    this.#paused = on;
    if (!on) this.#goOn();
  }

  /** What has arrived behind that which is being taken: somebody else's. */
  drain(): readonly T[] {
    return this.#waiting.splice(0);
  }

  /** Forgets what waits and any marker: the channel goes on by another way, or not at all. */
  clear(): void {
    this.#waiting = [];
    this.#blocked = false;
  }

  #goOn(): void {
    while (!this.#taking && !this.#blocked && !this.#paused) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#take(next);
    }
  }

  #take(arrival: T): void {
    const waiting = this.#waiting;
    this.#taking = true;
    try {
      const rest = this.#owner.take(arrival);
      // After `clear` the rest of what was being taken is void, too.
      if (rest !== undefined && waiting === this.#waiting) waiting.unshift(this.#owner.keep(rest));
    } finally {
      this.#taking = false;
    }
  }
}
