import type { EventQueue } from '../world/event-queue.ts';

/**
 * Something that happens at a certain time unless it is called off first. At most one event stands in the queue: when it comes and the
 * time has been put off, it looks again then.
 */
export class Expiry {
  readonly #clock: { readonly now: number; readonly queue: EventQueue };
  readonly #due: () => void;
  /** When it is due; infinity while it is called off. */
  #at = Number.POSITIVE_INFINITY;
  /** Time of the event that stands in the queue. */
  #next = Number.POSITIVE_INFINITY;

  constructor(clock: { readonly now: number; readonly queue: EventQueue }, due: () => void) {
    this.#clock = clock;
    this.#due = due;
  }

  get armed(): boolean {
    return this.#at !== Number.POSITIVE_INFINITY;
  }

  arm(afterUs: number): void {
    this.#at = this.#clock.now + afterUs;
    if (this.#next > this.#at) this.#wait();
  }

  callOff(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  #wait(): void {
    const time = (this.#next = this.#at);
    this.#clock.queue.push(time, this.#look, time);
  }

  readonly #look = (time: number): void => {
    if (time !== this.#next) return;
    this.#next = Number.POSITIVE_INFINITY;
    if (this.#at > time) {
      if (this.armed) this.#wait();
      return;
    }
    this.callOff();
    this.#due();
  };
}
