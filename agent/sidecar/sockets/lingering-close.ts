import { TCP_STATES, dropEnd, stateOf } from '../../linux/repair.ts';
import { IPPROTO_TCP, TCP_NODELAY, closeDescriptor, setOption } from '../../linux/sys.ts';

const FIRST_LOOK_MS = 5;
const LONGEST_LOOK_MS = 500;

/** Our FIN is acknowledged, or there is nobody any more. */
const OVER: readonly number[] = [TCP_STATES.close, TCP_STATES.timeWait, TCP_STATES.finWait2];

/** @returns true when all that was sent on a socket that both sides have closed, our FIN included, has been acknowledged */
export function isOver(fd: number): boolean {
  return OVER.includes(stateOf(fd));
}

/**
 * A connection with the application that both sides have closed, but whose last bytes the application's kernel has not acknowledged. It is
 * kept until that has happened: a cut in between has to take this end, too, for the application still waits for those bytes.
 */
export class LingeringClose {
  readonly fd: number;
  readonly #quietly: boolean;
  readonly #done: () => void;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param fd a descriptor of its own, which is closed in the end
   * @param quietly the kernel does not know that this connection is closed both ways (see repair.ts), and would send something
   */
  constructor(fd: number, quietly: boolean, done: () => void) {
    this.fd = fd;
    this.#quietly = quietly;
    this.#done = done;
    this.#look(FIRST_LOOK_MS);
  }

  /** What the kernel was not allowed to send leaves now (Link.push). */
  push(): void {
    setOption(this.fd, IPPROTO_TCP, TCP_NODELAY, 1);
  }

  /** No further waiting; the kernel does what it can. */
  giveUp(): void {
    clearTimeout(this.#timer);
    this.#close();
  }

  #look(afterMs: number): void {
    this.#timer = setTimeout(() => {
      if (!isOver(this.fd)) {
        this.#look(Math.min(2 * afterMs, LONGEST_LOOK_MS));
        return;
      }
      this.#close();
      this.#done();
    }, afterMs);
    this.#timer.unref();
  }

  #close(): void {
    if (this.#quietly) dropEnd(this.fd);
    else closeDescriptor(this.fd);
  }
}
