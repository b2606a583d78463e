import { createInterface } from 'node:readline';
import type { Socket } from 'node:net';
import { SwarmcutError } from '../../model/errors.ts';
import { fromWire, toWire } from './errors.ts';
import type { ArgumentsOf, Caller, Handler, MethodTable, ResultOf } from './method.ts';

interface Line {
  readonly call?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly answer?: number;
  readonly result?: unknown;
  readonly error?: unknown;
}

/**
 * Calls in both directions over one Unix socket, a line of JSON each: `{call, method, params}` and `{answer, result | error}`. Lines are handled
 * in the order they come; answers may overtake each other. When the connection ends, calls that wait fail.
 * `T`: what the other side answers (methods.ts).
 */
export class JsonPeer<T extends MethodTable = MethodTable> implements Caller<T> {
  readonly #socket: Socket;
  readonly #handlers: Readonly<Record<string, Handler>>;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #last = 0;

  /** @param handlers see `answering` (method.ts) */
  constructor(socket: Socket, handlers: Readonly<Record<string, Handler>>, onEnd: () => void = () => undefined) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.on('error', () => undefined); // `close` follows
    socket.once('close', () => {
      for (const { reject } of this.#waiting.values()) reject(this.#unreachable());
      this.#waiting.clear();
      onEnd();
    });
    const lines = createInterface({ input: socket }).on('line', (line) => void this.#line(line));
    lines.on('error', () => undefined); // it repeats the socket's
  }

  /** @throws SwarmcutError `unreachable` when the other side is gone; what it has thrown when it could not (`failed` if that was no SwarmcutError) */
  call<K extends keyof T & string>(method: K, ...[params]: ArgumentsOf<T[K]>): Promise<ResultOf<T[K]>> {
    if (this.#socket.destroyed) return Promise.reject(this.#unreachable());
    const call = ++this.#last;
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject });
      this.#send({ call, method, params });
    }) as Promise<ResultOf<T[K]>>;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #line(text: string): Promise<void> {
    let line: Line;
    try {
      line = JSON.parse(text) as Line;
    } catch {
      this.#socket.destroy(); // not one of us
      return;
    }
    if (line.answer !== undefined) {
      const waiting = this.#waiting.get(line.answer);
      this.#waiting.delete(line.answer);
      if (line.error === undefined) waiting?.resolve(line.result);
      else waiting?.reject(fromWire(line.error));
      return;
    }
    const answer = line.call ?? 0;
    try {
      const handler = Object.hasOwn(this.#handlers, line.method ?? '') ? this.#handlers[line.method ?? ''] : undefined;
      if (!handler) throw new Error(`no method ${line.method ?? ''}`);
      const result = await handler(line.params);
      this.#send({ answer, result: result ?? null });
    } catch (error) {
      this.#send({ answer, error: toWire(error) });
    }
  }

  #send(line: Line): void {
    if (!this.#socket.destroyed) this.#socket.write(`${JSON.stringify(line)}\n`);
  }

  #unreachable(): SwarmcutError {
    return new SwarmcutError('unreachable', 'the connection between agent and sidecar has ended');
  }
}
