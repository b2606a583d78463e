import { joined } from './bytes.ts';
import type { FrameError } from './wire/frames.ts';

/** Several frames of up to so many bytes are one write. */
const SHORT_BYTES = 512;

/**
 * What a {@link StreamMachine} wants done, in order. `bytes` are valid until the machine is next called: whoever wraps it carries out all of
 * its outputs at once, without waiting for anything in between.
 */
export type StreamOutput =
  /** To the application, behind all before; this takes all of them. */
  | { readonly kind: 'app-write'; readonly bytes: Uint8Array }
  /** Close our direction towards the application, behind all that was written. */
  | { readonly kind: 'app-end' }
  /** Both directions of the application's connection have ended in order: close it as if there were no sidecar. */
  | { readonly kind: 'app-close' }
  | { readonly kind: 'app-reset' }
  /** As `app-reset`; and what lingers of a connection that was closed is given up, too. */
  | { readonly kind: 'app-destroy' }
  /** Into the tunnel, behind all before. */
  | { readonly kind: 'tunnel-write'; readonly bytes: Uint8Array }
  /** Close our direction of the tunnel, behind all that was written. */
  | { readonly kind: 'tunnel-end' }
  /** Nothing more is to be heard of the tunnel: reset it, or close our direction of it. */
  | { readonly kind: 'tunnel-drop'; readonly reset: boolean }
  /** Both ends have said of this stream all that there was: the tunnel is free for another one, which `rest` (behind END) belongs to. */
  | { readonly kind: 'tunnel-free'; readonly rest: Uint8Array }
  /** Feed it to the algorithm, then call {@link StreamMachine.markerDone} with `tunnel`: what stands behind the marker waits for that. */
  | { readonly kind: 'marker'; readonly epoch: number; readonly tunnel: number }
  /** The peer's task moves: take it as a marker or get ready to wait, then call {@link StreamMachine.parkDone} with `tunnel`. */
  | { readonly kind: 'park'; readonly epoch: number; readonly tunnel: number }
  /** The recording has grown to so many bytes. */
  | { readonly kind: 'recorded'; readonly bytes: number }
  /** A parked stream has lost its tunnel: it waits for another. */
  | { readonly kind: 'left' }
  /** Both channels have ended. `lost`: not by their ends' doing, but because the tunnel broke. There may be something to deliver yet. */
  | { readonly kind: 'ended'; readonly lost: boolean }
  /** The peer breaks the format; the stream is destroyed. */
  | { readonly kind: 'malformed'; readonly error: FrameError };

/** Outputs that have not been polled. */
export class Outputs {
  readonly #waiting: StreamOutput[] = [];

  push(output: StreamOutput): void {
    this.#waiting.push(output);
  }

  /** Into the tunnel. What is short leaves together with what is short before it: a call of the kernel for each costs more than a copy. */
  write(bytes: Uint8Array): void {
    const last = this.#waiting.at(-1);
    if (last?.kind === 'tunnel-write' && last.bytes.length + bytes.length <= SHORT_BYTES)
      this.#waiting[this.#waiting.length - 1] = { kind: 'tunnel-write', bytes: joined([last.bytes, bytes]) };
    else this.#waiting.push({ kind: 'tunnel-write', bytes });
  }

  shift(): StreamOutput | undefined {
    return this.#waiting.shift();
  }
}
