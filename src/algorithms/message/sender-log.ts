import type { Envelope, ProcessIndex } from './contract.ts';

/** What a process has sent and may have to send again (sender-based logging: Johnson & Zwaenepoel 1987), in order per receiver. */
export class SenderLog {
  readonly #sent = new Map<ProcessIndex, Envelope[]>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Numbers only grow by one; a number that is there already is a repetition after a rollback and replaces it and what follows. */
  add(message: Envelope): void {
    const list = this.#list(message.to);
    const first = list[0]?.number ?? message.number;
    const position = message.number - first;
    for (const old of list.splice(position < 0 ? 0 : position)) this.#bytes -= old.bytes;
    list.push(message);
    this.#bytes += message.bytes;
  }

  from(to: ProcessIndex, number: number): readonly Envelope[] {
    const list = this.#list(to);
    const first = list[0]?.number ?? number;
    return list.slice(Math.max(0, number - first));
  }

  forget(to: ProcessIndex, below: number): void {
    const list = this.#list(to);
    const first = list[0]?.number ?? below;
    for (const old of list.splice(0, Math.max(0, below - first))) this.#bytes -= old.bytes;
  }

  copy(): SenderLog {
    const copy = new SenderLog();
    for (const [to, list] of this.#sent) copy.#sent.set(to, [...list]);
    copy.#bytes = this.#bytes;
    return copy;
  }

  #list(to: ProcessIndex): Envelope[] {
    let list = this.#sent.get(to);
    if (list === undefined) this.#sent.set(to, (list = []));
    return list;
  }
}
