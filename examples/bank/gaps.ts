/** How long the connections of a branch were silent. No I/O. */
export class Gaps {
  private readonly lastMs = new Map<string, number>();
  private worstMs = 0;

  /** Something has come from `peer`. */
  arrived(peer: string, nowMs: number): void {
    const last = this.lastMs.get(peer);
    if (last !== undefined) this.worstMs = Math.max(this.worstMs, nowMs - last);
    this.lastMs.set(peer, nowMs);
  }

  /** The longest time in which one of the connections brought nothing, up to now. Milliseconds, since {@link reset}. */
  worst(nowMs: number): number {
    return [...this.lastMs.values()].reduce((worst, last) => Math.max(worst, nowMs - last), this.worstMs);
  }

  /** Measures anew from now on. */
  reset(nowMs: number): void {
    this.worstMs = 0;
    for (const peer of this.lastMs.keys()) this.lastMs.set(peer, nowMs);
  }
}
