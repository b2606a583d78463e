import koffi from 'koffi';

/** What wants to know of a socket. Both may be called without need. */
export interface Watcher {
  /** There is something to read, or the end, or an error. */
  readable(): void;
  /** There is room, or an error. */
  writable(): void;
}

type Handle = ReturnType<typeof koffi.node.poll>;
type Callback = Parameters<typeof koffi.node.poll>[1];

/** By interest: 1 reading, 2 writing. */
const INTERESTS = [{}, { readable: true }, { writable: true }, { readable: true, writable: true }] as const;
const READING = 1;
const WRITING = 2;

let due = false;

/** What is promised or deferred in a callback that is none of Node's own is forgotten until there is one. */
function seeToWhatIsDue(): void {
  if (due) return;
  due = true;
  setImmediate(() => (due = false));
}

/**
 * Node's event loop looks at a descriptor. Why not at one of Node's own sockets: making and closing one costs more than all that is done
 * with a short connection.
 */
export class Watch {
  readonly #fd: number;
  readonly #watcher: Watcher;
  #handle: Handle | undefined;
  #interest = 0;
  #closed = false;

  constructor(fd: number, watcher: Watcher) {
    this.#fd = fd;
    this.#watcher = watcher;
  }

  /** Says what is of interest from now on. */
  set(reading: boolean, writing: boolean): void {
    const interest = (reading ? READING : 0) | (writing ? WRITING : 0);
    if (interest === this.#interest || this.#closed) return;
    this.#interest = interest;
    if (interest === 0) this.#handle?.stop();
    else this.#start();
  }

  /** Must be called before the descriptor is closed. */
  close(): void {
    this.#closed = true;
    this.#interest = 0;
    this.#handle?.close();
    this.#handle = undefined;
  }

  #start(): void {
    const options = INTERESTS[this.#interest] ?? {};
    if (this.#handle) this.#handle.start(options, this.#callback);
    else this.#handle = koffi.node.poll(this.#fd, options, this.#callback);
  }

  // koffi's types lack the first argument: below 0 for a socket that has failed, which is not looked at any more.
  readonly #callback = ((status: number, events: Parameters<Callback>[0]): void => {
    const failed = status < 0;
    try {
      if ((this.#interest & READING) !== 0 && (failed || events.readable)) this.#watcher.readable();
      if ((this.#interest & WRITING) !== 0 && (failed || events.writable)) this.#watcher.writable();
      // It may have bytes that came before it failed.
      if (failed && this.#interest !== 0) this.#start();
    } catch (error) {
      setImmediate(() => {
        throw error;
      });
    }
    seeToWhatIsDue();
  }) as unknown as Callback;
}
