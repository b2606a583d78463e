import { messageOf } from '../../../src/model/errors.ts';
import type { DialResult } from './peer-link.ts';

/** A look at somebody takes at least so long when nothing is heard of him. */
const LOOK_MS = 1_000;
/** So many looks in a row without a sign of life, and nothing else speaks for him: he is gone. */
const LOOKS = 2;

/** What a doubt is resolved with. */
export interface DoubtsOptions {
  /** Whether the kernel at the other end of a link with this address has acknowledged something new in time. Undefined: no link stands. */
  readonly acknowledged: (address: string, withinMs: number) => Promise<boolean | undefined>;
  /** Calls it. A link that comes of it is the callee's business. Takes a second at most, or as long as the process takes that has to answer. */
  readonly dial: (address: string) => Promise<DialResult>;
  /** A link with it stands, and the agent calls it a task of the stack (or has said nothing at all). */
  readonly vouchedFor: (address: string) => boolean;
  /** Somebody is there, perhaps not the sidecar that was there before. */
  readonly alive: (address: string) => void;
  /** @param beforeMs whatever was made with it before is void; by `performance.now()` */
  readonly gone: (address: string, beforeMs: number, reason: string) => void;
}

/** What one look has shown. */
export type Sign =
  | { readonly kind: 'alive' }
  /** Its kernel answers for a process that says nothing: it stands still, or is busy. */
  | { readonly kind: 'slow' }
  /** The process that was there is not there any more. */
  | { readonly kind: 'gone'; readonly reason: string }
  | { readonly kind: 'silent'; readonly reason: string }
  /** Says nothing about the other end. */
  | { readonly kind: 'none' };

/** Reads the answer to a call. */
export function signOf(result: DialResult): Sign {
  switch (result.kind) {
    case 'linked':
    case 'busy':
      return { kind: 'alive' };
    case 'non-peer':
      // Anybody else who answers is asked about each tunnel by the kernel.
      return result.nobody ? { kind: 'gone', reason: 'nobody listens there any more' } : { kind: 'alive' };
    case 'silent':
      if (result.connected) return { kind: 'slow' };
      return result.local ? { kind: 'none' } : { kind: 'silent', reason: result.reason };
  }
}

function notCalled(error: unknown): DialResult {
  return { kind: 'silent', reason: messageOf(error), connected: false, local: true };
}

/**
 * Finds out whether a sidecar that may be gone is: its link broke, or its agent does not name its task any more, or a round is about to rely
 * on it. Gone is whose process is known to be gone (its kernel refuses a call), or who gives no sign of life in two looks while no link stands or
 * the agent does not name him. Somebody with a link whom the agent names is left to the link's own time-out (peer-link.ts): his node may be
 * busy. So is one whose kernel accepts a call which his process does not answer: a sidecar that stands still holds its streams.
 */
export class Doubts {
  readonly #options: DoubtsOptions;
  readonly #open = new Map<string, Promise<void>>();
  #closed = false;

  constructor(options: DoubtsOptions) {
    this.#options = options;
  }

  /** Resolves when it is known whether somebody is there. Never rejects. */
  raise(address: string): Promise<void> {
    const open = this.#open.get(address);
    if (open) return open;
    const resolved = this.#resolve(address).finally(() => this.#open.delete(address));
    this.#open.set(address, resolved);
    return resolved;
  }

  /** @returns those of these addresses of which it is not known in time */
  async check(addresses: readonly string[], withinMs: number): Promise<string[]> {
    const unknown = new Set(addresses);
    const all = addresses.map((address) => this.raise(address).then(() => unknown.delete(address)));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, withinMs)));
    await Promise.race([Promise.all(all), late]);
    clearTimeout(timer);
    return [...unknown];
  }

  close(): void {
    this.#closed = true;
  }

  async #resolve(address: string): Promise<void> {
    const { acknowledged, dial, vouchedFor, alive, gone } = this.#options;
    // Nearly always there is a link, and this is all.
    const acknowledges = await acknowledged(address, LOOK_MS);
    if (acknowledges === true) return;
    for (let silent = acknowledges === false ? 1 : 0; !this.#closed;) {
      const beganMs = performance.now();
      const called = dial(address).catch((error: unknown) => notCalled(error));
      const [linked, result] = await Promise.all([acknowledged(address, LOOK_MS), called]);
      const sign: Sign = linked === true ? { kind: 'alive' } : signOf(result);
      if (sign.kind === 'alive') {
        alive(address);
        return;
      }
      silent = sign.kind === 'silent' ? silent + 1 : 0;
      if (sign.kind === 'gone' || (sign.kind === 'silent' && silent >= LOOKS && !vouchedFor(address))) {
        gone(address, beganMs, sign.reason);
        return;
      }
      const restMs = Math.max(0, beganMs + LOOK_MS - performance.now());
      await new Promise((resolve) => setTimeout(resolve, restMs));
    }
  }
}
