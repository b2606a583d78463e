import type { Outputs } from './outputs.ts';

/** How an application's connection begins for a {@link StreamMachine}. */
export interface AppBeginning {
  /** There is none any more: the application had closed it before the cut. */
  readonly gone: boolean;
  /** The application had closed its direction. The kernel does not know it of a restored connection. */
  readonly ended: boolean;
  /** The application's kernel had our FIN. */
  readonly finDelivered: boolean;
}

/** The application's side of a stream: how far closing of its connection has come. */
export class AppSide {
  /** Bytes written to it that its socket has not given to the kernel. */
  unsentBytes = 0;
  readonly #outputs: Outputs;
  #ended: boolean;
  /** Our direction is closed: the application's kernel has the FIN, or will get it from ours. */
  #finished: boolean;
  /** We have closed or reset the connection. */
  #closing = false;
  #reset: boolean;
  #gone: boolean;
  #orderly: boolean;

  constructor(outputs: Outputs, { gone, ended, finDelivered }: AppBeginning) {
    this.#outputs = outputs;
    this.#ended = ended;
    this.#finished = finDelivered;
    this.#gone = this.#orderly = this.#reset = gone;
  }

  /** The application has closed its direction; everything before has been read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The connection is closed. */
  get gone(): boolean {
    return this.#gone;
  }

  /** … after both directions had ended in order. */
  get orderly(): boolean {
    return this.#orderly;
  }

  /** Nothing that is written reaches it any more. */
  get deaf(): boolean {
    return this.#gone || this.#reset;
  }

  /** Both directions have ended in order. */
  get settled(): boolean {
    return this.#ended && this.#finished;
  }

  write(bytes: Uint8Array): void {
    if (!this.deaf) this.#outputs.push({ kind: 'app-write', bytes });
  }

  end(): void {
    if (!this.deaf) this.#outputs.push({ kind: 'app-end' });
  }

  reset(): void {
    if (this.deaf) return;
    this.#reset = true;
    this.unsentBytes = 0;
    this.#outputs.push({ kind: 'app-reset' });
  }

  destroy(): void {
    this.#reset = true;
    this.unsentBytes = 0;
    this.#outputs.push({ kind: 'app-destroy' });
  }

  /** When both directions have ended in order: closes the connection. */
  close(): void {
    if (!this.settled || this.#closing || this.deaf) return;
    this.#closing = true;
    this.#outputs.push({ kind: 'app-close' });
  }

  /** @returns false if that is known */
  handleEnd(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    return true;
  }

  handleFinished(): void {
    this.#finished = true;
  }

  /** @param failed it was reset, or broke */
  handleClosed(failed: boolean): void {
    this.#gone = true;
    this.#orderly = this.settled && !failed;
    this.unsentBytes = 0;
  }
}
