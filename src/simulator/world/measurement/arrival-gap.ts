/** How long nothing comes to one process: what a program at the other end of a connection notices of a round. Times in microseconds. */
export class ArrivalGap {
  #last = -1;
  #longest = 0;

  /** Something has come. */
  heard(now: number): void {
    if (this.#last >= 0 && now - this.#last > this.#longest) this.#longest = now - this.#last;
    this.#last = now;
  }

  /** The longest time between two messages since the last call; it begins anew. */
  take(): number {
    const longest = this.#longest;
    this.#longest = 0;
    return longest;
  }
}
