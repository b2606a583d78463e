import koffi from 'koffi';
import {
  EPOLL_EVENT_BYTES,
  EPOLL_ID_AT,
  EPOLL_OPERATIONS,
  EPOLLIN,
  EPOLLOUT,
  controlEpoll,
  createEpoll,
  waitEpoll,
} from './epoll.ts';

/** What wants to know of a socket. Both may be called without need. */
export interface Watcher {
  /** There is something to read, or the end, or an error. */
  readable(): void;
  /** There is room, or an error. */
  writable(): void;
}

/** Most events that are taken at once; the kernel tells the others the next time. */
const EVENTS = 128;
const MOST_IDS = 2 ** 31;

let due = false;

/** What is promised or deferred in a callback that is none of Node's own is forgotten until there is one. */
function seeToWhatIsDue(): void {
  if (due) return;
  due = true;
  setImmediate(() => (due = false));
}

/** All watched descriptors of this process, in an epoll of their own, of which Node's event loop sees only that there is something. */
class Epoll {
  readonly #fd = createEpoll();
  readonly #events = Buffer.alloc(EVENTS * EPOLL_EVENT_BYTES);
  readonly #watches = new Map<number, Watch>();
  #poll: ReturnType<typeof koffi.node.poll> | undefined;
  #lastId = 0;

  /** Tells `watch` of what happens to the descriptor. @returns by which number it is known here */
  add(fd: number, events: number, watch: Watch): number {
    do this.#lastId = (this.#lastId + 1) % MOST_IDS;
    while (this.#watches.has(this.#lastId));
    controlEpoll(this.#fd, EPOLL_OPERATIONS.add, fd, events, this.#lastId);
    this.#watches.set(this.#lastId, watch);
    if (this.#watches.size === 1) this.#start();
    return this.#lastId;
  }

  change(fd: number, events: number, id: number): void {
    controlEpoll(this.#fd, EPOLL_OPERATIONS.change, fd, events, id);
  }

  remove(fd: number, id: number): void {
    this.#watches.delete(id);
    controlEpoll(this.#fd, EPOLL_OPERATIONS.remove, fd, 0, id);
    // It does not keep the process alive then.
    if (this.#watches.size === 0) this.#poll?.stop();
  }

  #start(): void {
    const look = (): void => this.#look();
    if (this.#poll) this.#poll.start({ readable: true }, look);
    else this.#poll = koffi.node.poll(this.#fd, { readable: true }, look);
  }

  #look(): void {
    const count = waitEpoll(this.#fd, this.#events, EVENTS);
    for (let at = 0; at < count * EPOLL_EVENT_BYTES; at += EPOLL_EVENT_BYTES) {
      // Of one that was closed by what was done for another, nothing is known any more.
      const watch = this.#watches.get(this.#events.readUInt32LE(at + EPOLL_ID_AT));
      watch?.happened(this.#events.readUInt32LE(at));
    }
    seeToWhatIsDue();
  }
}

let epoll: Epoll | undefined;

/**
 * The event loop looks at a descriptor. Why not at one of Node's own sockets: making and closing one costs more than all that is done
 * with a short connection; and a handle of the loop's for each descriptor costs a tenth of it.
 */
export class Watch {
  readonly #fd: number;
  readonly #watcher: Watcher;
  /** What its owner wants to know of. */
  #interest = 0;
  /** What the kernel was asked for: perhaps more. */
  #asked = 0;
  /** In {@link Epoll}. 0: not there. */
  #id = 0;
  #closed = false;

  constructor(fd: number, watcher: Watcher) {
    this.#fd = fd;
    this.#watcher = watcher;
  }

  /** Says what is of interest from now on. */
  set(reading: boolean, writing: boolean): void {
    if (this.#closed) return;
    this.#interest = (reading ? EPOLLIN : 0) | (writing ? EPOLLOUT : 0);
    // Who does not read often does again before anything comes: that is left to `happened`. Writable is nearly everyone at any time.
    if ((this.#interest & ~this.#asked) !== 0 || (this.#asked & ~this.#interest & EPOLLOUT) !== 0) this.#ask();
  }

  /** Must be called before the descriptor is closed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#interest = 0;
    this.#ask();
  }

  /** For {@link Epoll}: the kernel says what can be done. Errors, and that the other end is gone, it says without being asked. */
  happened(events: number): void {
    const other = (events & ~(EPOLLIN | EPOLLOUT)) !== 0;
    const unwanted = this.#interest === 0 || (events & (EPOLLIN | EPOLLOUT) & ~this.#interest) !== 0;
    try {
      if ((this.#interest & EPOLLIN) !== 0 && (other || (events & EPOLLIN) !== 0)) this.#watcher.readable();
      if ((this.#interest & EPOLLOUT) !== 0 && (other || (events & EPOLLOUT) !== 0)) this.#watcher.writable();
    } catch (error) {
      setImmediate(() => {
        throw error;
      });
    }
    if (unwanted && !this.#closed) this.#ask();
  }

  #ask(): void {
    epoll ??= new Epoll();
    const events = this.#interest;
    if (events === 0) {
      if (this.#id !== 0) epoll.remove(this.#fd, this.#id);
      this.#id = 0;
    } else if (this.#id === 0) this.#id = epoll.add(this.#fd, events, this);
    else if (events !== this.#asked) epoll.change(this.#fd, events, this.#id);
    this.#asked = events;
  }
}
