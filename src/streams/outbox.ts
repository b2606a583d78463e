/** The way out of an {@link Outbox}. `T` is a run of bytes in the sidecar, a message in the simulator. */
export interface OutboxOwner<T> {
  /** Something may leave now. */
  maySend(): boolean;
  /** The same item, valid beyond this call. */
  keep(item: T): T;
  send(item: T): void;
  sendEnd(): void;
}

const END = Symbol('the end of the channel');

/** What the application has sent and what cannot leave yet: it is blocked, or the connection is not there. It belongs to the sender's state. */
export class Outbox<T> {
  readonly #owner: OutboxOwner<T>;
  readonly #queue: (T | typeof END)[];

  constructor(owner: OutboxOwner<T>, waiting: T[] = []) {
    this.#owner = owner;
    this.#queue = waiting;
  }

  /** Nothing waits. */
  get idle(): boolean {
    return this.#queue.length === 0;
  }

  /** What waits, without the channel's end. */
  get waiting(): readonly T[] {
    return this.#queue.filter((item) => item !== END) as readonly T[];
  }

  /** The channel's end waits. */
  get endWaits(): boolean {
    return this.#queue.includes(END);
  }

  put(item: T): void {
    if (this.idle && this.#owner.maySend()) this.#owner.send(item);
    else this.#queue.push(this.#owner.keep(item));
  }

  /** The application has closed its direction, behind all that it has sent. */
  end(): void {
    if (this.idle && this.#owner.maySend()) this.#owner.sendEnd();
    else this.#queue.push(END);
  }

  /** Lets leave what may. */
  flush(): void {
    while (this.#owner.maySend()) {
      const item = this.#queue.shift();
      if (item === undefined) return;
      if (item === END) this.#owner.sendEnd();
      else this.#owner.send(item);
    }
  }
}
