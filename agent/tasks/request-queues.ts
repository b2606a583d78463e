/** Deals with the requests for one thing one after the other, and with those for different things at the same time. */
export class RequestQueues {
  /** The last request for each. */
  readonly #last = new Map<string, Promise<unknown>>();

  /** Things for which there are requests that have not been answered. */
  get keys(): string[] {
    return [...this.#last.keys()];
  }

  /** Begins when all that was asked before for `key` has ended, well or not. */
  run<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    const result = (this.#last.get(key) ?? Promise.resolve()).then(work);
    const last = result
      .catch(() => undefined)
      .finally(() => {
        if (this.#last.get(key) === last) this.#last.delete(key);
      });
    this.#last.set(key, last);
    return result;
  }
}
