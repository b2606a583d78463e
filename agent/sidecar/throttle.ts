/** Lets the first few of a kind through in each period, and counts the others. Kinds are few: they are constants of the code. */
export class Throttle {
  readonly #limit: number;
  readonly #periodMs: number;
  readonly #tell: (kind: string, count: number) => void;
  readonly #seen = new Map<string, number>();

  /**
   * @param limit how many of a kind pass in a period, which begins with the first of them
   * @param tell called at the end of a period for each kind of which some did not pass
   */
  constructor(limit: number, periodMs: number, tell: (kind: string, count: number) => void) {
    this.#limit = limit;
    this.#periodMs = periodMs;
    this.#tell = tell;
  }

  allows(kind: string): boolean {
    const seen = this.#seen.get(kind) ?? 0;
    this.#seen.set(kind, seen + 1);
    // A period that nobody waits for must not keep the process alive.
    if (seen === 0) setTimeout(() => this.#end(kind), this.#periodMs).unref();
    return seen < this.#limit;
  }

  #end(kind: string): void {
    const kept = (this.#seen.get(kind) ?? 0) - this.#limit;
    this.#seen.delete(kind);
    if (kept > 0) this.#tell(kind, kept);
  }
}
