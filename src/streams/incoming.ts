import type { AppSide } from './app-side.ts';
import { copied } from './bytes.ts';
import { Inbox } from './inbox.ts';
import type { InboxOwner, Recording } from './inbox.ts';
import type { Outputs } from './outputs.ts';

/** So much of what a connection begins with is kept until the application has accepted it. Bytes. */
const FIRST_BYTES = 64 * 1024;

/** Where a channel stands at its receiver. */
export interface IncomingCut {
  /** Handed to the application's socket in the kernel. */
  readonly delivered: number;
  readonly finDelivered: boolean;
  /** What has come and is not in the application's kernel socket: the beginning of the recording. */
  readonly recording: Recording<Uint8Array>;
}

/** How a restored channel begins. */
export interface RestoredIncoming {
  /** Delivered or recorded, bytes. */
  readonly received: number;
  /** Of these, not in the application's socket. */
  readonly undelivered: readonly Uint8Array[];
  readonly finReceived: boolean;
  readonly resetReceived: boolean;
  /** The application's kernel has the FIN. */
  readonly finDelivered: boolean;
}

/** What is to be known about an application at its cut. */
export interface AppCut {
  /** Written to the application, and not in its kernel socket: a copy. */
  readonly unsent: Uint8Array;
  /** False: the application has not accepted this connection, which its kernel has for it; it is not saved with it. */
  readonly accepted: boolean;
}

/** The channel of a stream towards this sidecar's application: from the decoded frames to the application's socket. */
export class Incoming implements InboxOwner<Uint8Array> {
  blocked: boolean;
  readonly inbox: Inbox<Uint8Array>;
  readonly #app: AppSide;
  readonly #outputs: Outputs;
  #received: number;
  #finReceived: boolean;
  #resetReceived: boolean;
  #finDelivered: boolean;
  /** All that was ever written to the application, while that is little and the application may not have accepted. */
  #first: Uint8Array[] | undefined;

  /**
   * @param blocked nothing is delivered before {@link release}
   * @param keepFirst the application may not have accepted the connection yet, although its kernel has
   */
  constructor(app: AppSide, outputs: Outputs, blocked: boolean, keepFirst: boolean, restored?: RestoredIncoming) {
    this.#app = app;
    this.#outputs = outputs;
    this.blocked = blocked || restored !== undefined;
    this.#received = restored?.received ?? 0;
    this.#finReceived = restored?.finReceived ?? false;
    this.#resetReceived = restored?.resetReceived ?? false;
    this.#finDelivered = restored?.finDelivered ?? false;
    this.inbox = new Inbox<Uint8Array>(
      this,
      restored?.undelivered.filter(({ length }) => length > 0),
    );
    if (this.#finReceived && !this.#finDelivered) this.inbox.takeEnd();
    if (keepFirst) this.#first = [];
  }

  /** Bytes since the connection began. */
  get received(): number {
    return this.#received;
  }

  /** What of that is in the application's kernel socket, or has no taker any more. Bytes since the connection began. */
  get taken(): number {
    return this.#app.deaf ? this.#received : this.#received - this.#app.unsentBytes - this.inbox.backlogBytes;
  }

  get finReceived(): boolean {
    return this.#finReceived;
  }

  get resetReceived(): boolean {
    return this.#resetReceived;
  }

  handleData(bytes: Uint8Array): void {
    this.#received += bytes.length;
    if (this.#app.deaf) this.inbox.drop(bytes);
    else this.inbox.take(bytes);
  }

  handleFin(): void {
    this.#finReceived = true;
    this.inbox.takeEnd();
  }

  handleReset(): void {
    this.#resetReceived = true;
    if (this.inbox.recording) this.inbox.recording.reset = true;
  }

  /** Delivers what has waited. */
  release(): void {
    this.blocked = false;
    this.inbox.release();
  }

  /** The application has accepted the connection: it has sent something. */
  accepted(): void {
    this.#first = undefined;
  }

  cut(epoch: number, { unsent, accepted }: AppCut): IncomingCut {
    const again = accepted ? undefined : this.#first;
    const recording = this.inbox.beginning(epoch, again ?? (unsent.length > 0 ? [unsent] : []));
    const finDelivered = this.#finDelivered && unsent.length === 0 && !again;
    recording.fin = this.#finReceived && !finDelivered;
    recording.reset = this.#resetReceived;
    return { delivered: this.#received - recording.bytes, finDelivered, recording };
  }

  mayDeliver(): boolean {
    return !this.blocked;
  }

  size(bytes: Uint8Array): number {
    return bytes.length;
  }

  keep(bytes: Uint8Array): Uint8Array {
    return copied(bytes);
  }

  deliver(bytes: Uint8Array): void {
    if (this.#first) {
      if (this.#received > FIRST_BYTES) this.#first = undefined;
      else this.#first.push(copied(bytes));
    }
    this.#app.write(bytes);
  }

  deliverEnd(): void {
    this.#finDelivered = true;
    this.#app.end();
  }

  recorded({ bytes }: Recording<Uint8Array>): void {
    this.#outputs.push({ kind: 'recorded', bytes });
  }
}
