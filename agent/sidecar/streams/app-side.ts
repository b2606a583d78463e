import type { Endpoint } from '../../../src/model/connection.ts';
import { LastWords, isOver } from '../sockets/lingering-close.ts';
import type { LocalEnd, TakeRead } from '../sockets/local-end.ts';
import { silence, takeClosed, takeEnd } from '../../linux/repair.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import { duplicateDescriptor } from '../../linux/sys.ts';

/** How far closing had come when a connection was restored; the kernel does not know it (repair.ts). */
export interface RestoredClosing {
  /** The application had closed its direction. */
  readonly ended: boolean;
  /** The application's kernel had our FIN. */
  readonly finDelivered: boolean;
}

export interface AppSideEvents {
  readonly read: TakeRead;
  drained(): void;
  /** The application has closed its direction; everything before has been read. */
  ended(): void;
  /** Both directions are closed. */
  settled(): void;
  /** The socket is gone, or the last that was sent on it has got through. */
  gone(): void;
}

/** The application's side of a stream: its socket, and how far closing of the connection has come. */
export class AppSide {
  readonly end: LocalEnd;
  readonly #restored: RestoredClosing;
  readonly #events: AppSideEvents;
  #ended: boolean;
  /** Our direction is closed: the application's kernel has the FIN, or will get it from ours. */
  #finished: boolean;
  #gone: boolean;
  #orderly: boolean;
  #lastWords: LastWords | undefined;

  constructor(end: LocalEnd, restored: RestoredClosing, events: AppSideEvents) {
    this.end = end;
    this.#restored = restored;
    this.#events = events;
    this.#ended = restored.ended;
    this.#finished = restored.finDelivered;
    this.#gone = this.#orderly = end.gone;
    end.handle(events.read, {
      drained: () => events.drained(),
      ended: () => this.#onEnd(),
      finished: () => {
        this.#finished = true;
        this.settle();
      },
      closed: (error) => this.#onClosed(error),
    });
    end.resetOnClose(true);
  }

  /** The application has closed its direction. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The socket is closed. */
  get gone(): boolean {
    return this.#gone;
  }

  /** … after both directions had ended in order. */
  get orderly(): boolean {
    return this.#orderly;
  }

  /** Nothing is to be done for it any more. */
  get over(): boolean {
    return this.#gone && !this.#lastWords;
  }

  /** When both directions have ended in order: closes as if there were no sidecar. */
  settle(): void {
    if (!this.#ended || !this.#finished) return;
    if (!this.end.gone && !this.#lastWords) this.#close();
    this.#events.settled();
  }

  /** What the kernel was not allowed to send leaves now. */
  push(): void {
    this.end.push();
    this.#lastWords?.push();
  }

  /**
   * The state of the kernel's socket. Undefined when there is none.
   * @param appEnd the application's end of the connection
   * @throws Error as {@link takeEnd}
   */
  take(appEnd: { readonly local: Endpoint; readonly remote: Endpoint }): TcpEnd | undefined {
    const fd = this.#lastWords?.fd ?? this.end.fd;
    if (fd < 0) return undefined;
    const { ended, finDelivered } = this.#restored;
    const closed = takeClosed(fd, { local: appEnd.remote, remote: appEnd.local });
    return closed ?? takeEnd(fd, { received: ended, acknowledged: finDelivered });
  }

  /** Ends it at once, with a reset if it was not closed both ways. */
  destroy(): void {
    this.#lastWords?.giveUp();
    this.#lastWords = undefined;
    this.end.reset();
  }

  #onEnd(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.ended();
    this.settle();
  }

  #close(): void {
    const { ended, finDelivered } = this.#restored;
    const blind = ended || finDelivered;
    this.end.resetOnClose(false);
    if (finDelivered) {
      silence(this.end.fd);
    } else if (blind || !isOver(this.end.fd)) {
      this.#lastWords = new LastWords(duplicateDescriptor(this.end.fd), blind, () => {
        this.#lastWords = undefined;
        this.#events.gone();
      });
    }
    // A link closes itself when both directions have ended; it does not know that of a restored one.
    if (blind) this.end.close();
  }

  #onClosed(error: Error | undefined): void {
    this.#gone = true;
    this.#orderly = this.#ended && this.#finished && !error;
    this.#events.gone();
  }
}
