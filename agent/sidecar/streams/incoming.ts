import type { LocalEnd } from '../sockets/local-end.ts';

/** So much of what a connection begins with is kept until the application has accepted it. Bytes. */
const FIRST_BYTES = 64 * 1024;

/** Bytes of one incoming channel that belong to its state: sent before the sender's cut, not delivered before the receiver's. */
export interface Recording {
  readonly epoch: number;
  readonly chunks: Buffer[];
  bytes: number;
  /** The channel's end is part of its state. */
  fin: boolean;
  reset: boolean;
  /** Its marker (or its end) has come. */
  complete: boolean;
}

/** Where a channel stands at its receiver. */
export interface IncomingCut {
  /** Handed to the application's socket in the kernel. */
  readonly delivered: number;
  readonly finDelivered: boolean;
  /** What has come and is not in the application's kernel socket: the beginning of the recording. */
  readonly recording: Recording;
}

/** How a restored channel begins. */
export interface RestoredIncoming {
  /** Delivered or recorded, bytes. */
  readonly received: number;
  /** Of these, not in the application's socket. */
  readonly undelivered: readonly Buffer[];
  readonly finReceived: boolean;
  readonly resetReceived: boolean;
  /** The application's kernel has the FIN. */
  readonly finDelivered: boolean;
}

/** The channel of a stream towards this sidecar's application: from the decoded frames to the application's socket. */
export class Incoming {
  recording: Recording | undefined;
  readonly #app: LocalEnd;
  #received: number;
  #finReceived: boolean;
  #resetReceived: boolean;
  #finDelivered: boolean;
  readonly #backlog: Buffer[];
  #backlogBytes: number;
  /** All that was ever written to the application, while that is little and the application may not have accepted. */
  #first: Buffer[] | undefined;

  /** @param keepFirst the application may not have accepted the connection yet, although its kernel has */
  constructor(app: LocalEnd, keepFirst: boolean, restored?: RestoredIncoming) {
    this.#app = app;
    this.#received = restored?.received ?? 0;
    this.#finReceived = restored?.finReceived ?? false;
    this.#resetReceived = restored?.resetReceived ?? false;
    this.#finDelivered = restored?.finDelivered ?? false;
    this.#backlog = restored?.undelivered.filter(({ length }) => length > 0) ?? [];
    this.#backlogBytes = this.#backlog.reduce((sum, { length }) => sum + length, 0);
    if (keepFirst) this.#first = [];
  }

  /** Bytes since the connection began. */
  get received(): number {
    return this.#received;
  }

  /** What of that is in the application's kernel socket, or has no taker any more. Bytes since the connection began. */
  get taken(): number {
    return this.#app.gone ? this.#received : this.#received - this.#app.unsentBytes - this.#backlogBytes;
  }

  get finReceived(): boolean {
    return this.#finReceived;
  }

  get resetReceived(): boolean {
    return this.#resetReceived;
  }

  get finDelivered(): boolean {
    return this.#finDelivered;
  }

  /** What waits for {@link release}. */
  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  /** @param deliver false: it waits for {@link release} */
  data(bytes: Uint8Array, deliver: boolean): void {
    this.#received += bytes.length;
    const copy = this.recording || !deliver ? Buffer.from(bytes) : undefined;
    if (this.recording && copy) {
      this.recording.chunks.push(copy);
      this.recording.bytes += copy.length;
    }
    if (this.#app.gone) return;
    if (!deliver && copy) {
      this.#backlog.push(copy);
      this.#backlogBytes += copy.length;
    } else {
      this.#write(bytes);
    }
  }

  fin(deliver: boolean): void {
    this.#finReceived = true;
    if (this.recording) this.recording.fin = true;
    if (deliver) this.#deliverFin();
  }

  reset(): void {
    this.#resetReceived = true;
    if (this.recording) this.recording.reset = true;
  }

  /** Delivers what has waited. */
  release(): void {
    for (const bytes of this.#backlog.splice(0)) this.#write(bytes);
    this.#backlogBytes = 0;
    if (this.#finReceived && !this.#finDelivered) this.#deliverFin();
  }

  /** The application has accepted the connection: it has sent something. */
  accepted(): void {
    this.#first = undefined;
  }

  /** @param accepted false: the connection is still in the application's accept queue, and is not saved with it */
  cut(epoch: number, accepted: boolean): IncomingCut {
    const again = accepted ? undefined : this.#first;
    const waiting = Buffer.concat([...(again ?? [this.#app.unsent()]), ...this.#backlog]);
    const finDelivered = this.#finDelivered && this.#app.idle && !again;
    return {
      delivered: this.#received - waiting.length,
      finDelivered,
      recording: {
        epoch,
        chunks: waiting.length > 0 ? [waiting] : [],
        bytes: waiting.length,
        fin: this.#finReceived && !finDelivered,
        reset: this.#resetReceived,
        complete: false,
      },
    };
  }

  #write(bytes: Uint8Array): void {
    if (this.#first) {
      if (this.#received > FIRST_BYTES) this.#first = undefined;
      else this.#first.push(Buffer.from(bytes));
    }
    this.#app.write(bytes);
  }

  #deliverFin(): void {
    this.#finDelivered = true;
    this.#app.end();
  }
}
