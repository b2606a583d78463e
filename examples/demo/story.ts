/** What the demo prints: chapters, steps with the time that they took, and figures. */
export class Story {
  readonly #startMs = performance.now();
  readonly #colours = process.stdout.isTTY;

  chapter(title: string): void {
    this.#line(`\n${this.#paint('1', title)}`);
  }

  /** Does something and tells how long it took. */
  async step<T>(title: string, act: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    if (this.#colours) process.stdout.write(`${this.#clock()} … ${title}`);
    try {
      const result = await act();
      this.#end(`${this.#paint('32', '✔')} ${title} (${seconds(performance.now() - begun)})`);
      return result;
    } catch (error) {
      this.#end(`${this.#paint('31', '✘')} ${title} (${seconds(performance.now() - begun)})`);
      throw error;
    }
  }

  detail(text: string): void {
    this.#line(`${' '.repeat(11)}${text}`);
  }

  /** A command's own output, set in. */
  print(text: string): void {
    for (const line of text.split('\n')) this.detail(line);
  }

  good(text: string): void {
    this.#line(`${this.#clock()} ${this.#paint('32', `✔ ${text}`)}`);
  }

  bad(text: string): void {
    this.#line(`\n${this.#clock()} ${this.#paint('31', `✘ the demo failed: ${text}`)}`);
  }

  /** How to look around in a bed that stays. */
  keep(bed: string): void {
    this.#line(`
The test bed '${bed}' stays up. Look around:
  npx coordinator testbed exec n1 --name ${bed} -- docker stack ps bank
  npx coordinator testbed exec n1 --name ${bed} -- coordinator list
  npx coordinator testbed exec n1 --name ${bed} -- coordinator inspect latest
  npx coordinator testbed exec n1 --name ${bed} -- coordinator migrate bank_branch-c
  npx coordinator testbed exec n1 --name ${bed} -- bash
Remove it:
  npx coordinator testbed down --name ${bed}`);
  }

  #end(text: string): void {
    this.#line(`${this.#colours ? '\r\u001b[K' : ''}${this.#clock()} ${text}`);
  }

  #line(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  #clock(): string {
    return `[${seconds(performance.now() - this.#startMs).padStart(7)}]`;
  }

  #paint(code: string, text: string): string {
    return this.#colours ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
