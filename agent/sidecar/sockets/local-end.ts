/** What has been read: `bytes` is valid only during the call; `framed` is the same with FRAME_HEAD_BYTES free bytes in front. */
export type TakeRead = (bytes: Buffer, framed: Buffer) => void;

export interface LinkEvents {
  /** All that was written is in the kernel. */
  drained(): void;
  /** The other end has closed its direction; everything before has been read. */
  ended(): void;
  /** Our own direction is closed, and all before it is in the kernel. */
  finished(): void;
  /** The connection is gone for good. `error`: reset, refused, timed out … */
  closed(error: Error | undefined): void;
}

/** The sidecar's side of the connection with its application, as a stream uses it. Usually a {@link Link}. */
export interface LocalEnd {
  /** -1 when there is none (any more). */
  readonly fd: number;
  readonly gone: boolean;
  readonly idle: boolean;
  readonly unsentBytes: number;
  reading: boolean;
  handle(take: TakeRead, events: LinkEvents): void;
  unsent(): Buffer;
  write(bytes: Uint8Array): void;
  end(): void;
  reset(): void;
  /** Forgets the descriptor, in order. */
  close(): void;
  resetOnClose(on: boolean): void;
  push(): void;
}

/** Of an application that had closed its socket before the cut, so that it was not restored. */
export class AbsentEnd implements LocalEnd {
  readonly fd = -1;
  readonly gone = true;
  readonly idle = true;
  readonly unsentBytes = 0;
  reading = false;

  handle(): void {
    // Nothing will happen.
  }
  unsent(): Buffer {
    return Buffer.alloc(0);
  }
  write(): void {
    // Nobody takes it.
  }
  end(): void {
    // It has ended.
  }
  reset(): void {
    // It is gone.
  }
  close(): void {
    // It is closed.
  }
  resetOnClose(): void {
    // There is no crash to prepare for.
  }
  push(): void {
    // Nothing waits.
  }
}
