import { describe, expect, it } from 'vitest';
import { EventQueue } from '../../src/simulator/world/event-queue.ts';
import { nextBelow, nextFraction, prng } from '../../src/simulator/world/prng.ts';

/** A queue and what it must do: a list that is sorted, stably, by time. */
class Checked {
  readonly queue = new EventQueue();
  readonly ran: number[] = [];
  #expected: { time: number; id: number }[] = [];
  #ids = 0;
  #now = 0;

  push(afterTime: number): void {
    const [time, id] = [this.#now + afterTime, this.#ids++];
    this.#expected.push({ time, id });
    this.queue.push(time, (argument: number) => void this.ran.push(argument), id);
  }

  /** Runs the next event and says whether it was the right one, at the right time. */
  step(): boolean {
    const first = this.#expected.reduce((a, b) => (b.time < a.time ? b : a));
    this.#expected = this.#expected.filter((one) => one !== first);
    this.#now = this.queue.nextTime;
    this.queue.runNext();
    return this.ran.at(-1) === first.id && this.#now === first.time && this.queue.size === this.#expected.length;
  }
}

describe('EventQueue', () => {
  it('is empty at first', () => {
    const queue = new EventQueue();
    expect([queue.size, queue.nextTime]).toEqual([0, Number.POSITIVE_INFINITY]);
  });

  it('runs events of one time in the order in which they came, wherever they waited', () => {
    const checked = new Checked();
    // Near, in a bucket, and beyond all buckets.
    for (const time of [7, 50_000, 10_000_000]) for (let i = 0; i < 50; i++) checked.push(time);
    for (let i = 0; i < 150; i++) expect(checked.step()).toBe(true);
    expect(checked.queue.size).toBe(0);
  });

  it.each([10, 5_000, 5_000_000, 60_000_000])('keeps the order of time, with waits up to %i µs', (longest) => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = prng(seed);
      const checked = new Checked();
      for (let i = 0; i < 400; i++) {
        const add = checked.queue.size === 0 || nextFraction(random) < 0.55;
        // Mostly short waits, as with messages.
        if (add) checked.push(nextBelow(random, nextFraction(random) < 0.5 ? longest : 1 + longest / 100));
        else expect(checked.step(), `seed ${seed}, event ${i}`).toBe(true);
      }
      while (checked.queue.size > 0) expect(checked.step(), `seed ${seed}, at the end`).toBe(true);
    }
  });

  it('may be filled while an event runs, also for the same time', () => {
    const queue = new EventQueue();
    const ran: string[] = [];
    queue.push(5, () => queue.push(5, () => ran.push('second'), undefined), undefined);
    queue.push(6, () => ran.push('third'), undefined);
    while (queue.size > 0) queue.runNext();
    expect(ran).toEqual(['second', 'third']);
  });
});
