/** What of one incoming channel belongs to its state: sent before the sender's cut, not delivered before the receiver's. */
export interface Recording<T> {
  readonly epoch: number;
  readonly chunks: T[];
  bytes: number;
  /** The channel's end is part of its state. */
  fin: boolean;
  reset: boolean;
  /** Its marker (or its end) has come. */
  complete: boolean;
}

/** The application behind an {@link Inbox}. `T` is a run of bytes in the sidecar, a message in the simulator. */
export interface InboxOwner<T> {
  /** The application may be given something now. */
  mayDeliver(): boolean;
  size(item: T): number;
  /** The same item, valid beyond this call. */
  keep(item: T): T;
  deliver(item: T): void;
  deliverEnd(): void;
  /** The recording has grown by so many items. */
  recorded(recording: Recording<T>, items: number): void;
}

/** What has come on a channel and was taken: records it while it is told to, and keeps it while the application is blocked. */
export class Inbox<T> {
  recording: Recording<T> | undefined;
  readonly #owner: InboxOwner<T>;
  readonly #backlog: T[];
  #backlogBytes = 0;
  #endWaits = false;

  /** @param backlog of a restored channel: comes before all else, at {@link release} */
  constructor(owner: InboxOwner<T>, backlog: T[] = []) {
    this.#owner = owner;
    this.#backlog = backlog;
    for (const item of backlog) this.#backlogBytes += owner.size(item);
  }

  /** Taken and not delivered. */
  get backlog(): readonly T[] {
    return this.#backlog;
  }

  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  /** Nothing waits to be delivered, not even the channel's end. */
  get idle(): boolean {
    return this.#backlog.length === 0 && !this.#endWaits;
  }

  /** @param belongs to the channel's state, if that is being recorded */
  take(item: T, belongs = true): void {
    const recording = belongs ? this.recording : undefined;
    const kept = recording ? this.#owner.keep(item) : item;
    if (recording) this.#record(recording, kept);
    if (this.#backlog.length === 0 && this.#owner.mayDeliver()) {
      this.#owner.deliver(kept);
      return;
    }
    this.#backlog.push(recording ? kept : this.#owner.keep(item));
    this.#backlogBytes += this.#owner.size(item);
    this.release();
  }

  /** As {@link take}, but there is no application any more. */
  drop(item: T): void {
    if (this.recording) this.#record(this.recording, this.#owner.keep(item));
  }

  /** The channel's end has come. */
  takeEnd(): void {
    if (this.recording) this.recording.fin = true;
    this.#endWaits = true;
    this.release();
  }

  /** Delivers what waits, as far as the application may be given it. */
  release(): void {
    while (this.#backlog.length > 0 && this.#owner.mayDeliver()) {
      const item = this.#backlog.shift();
      if (item === undefined) break;
      this.#backlogBytes -= this.#owner.size(item);
      this.#owner.deliver(item);
    }
    if (!this.#endWaits || this.#backlog.length > 0 || !this.#owner.mayDeliver()) return;
    this.#endWaits = false;
    this.#owner.deliverEnd();
  }

  /**
   * How a recording begins at a cut: with what has come and is not delivered.
   * @param undelivered what was delivered here and has not reached the application, before the backlog
   */
  beginning(epoch: number, undelivered: readonly T[] = []): Recording<T> {
    const chunks = [...undelivered, ...this.#backlog];
    let bytes = 0;
    for (const chunk of chunks) bytes += this.#owner.size(chunk);
    return { epoch, chunks, bytes, fin: this.#endWaits, reset: false, complete: false };
  }

  #record(recording: Recording<T>, item: T): void {
    recording.chunks.push(item);
    recording.bytes += this.#owner.size(item);
    this.#owner.recorded(recording, 1);
  }
}
