import type { Endpoint } from '../../../src/model/connection.ts';
import { LingeringClose, isOver } from '../sockets/lingering-close.ts';
import type { LocalEnd } from '../sockets/local-end.ts';
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

/** A stream's socket towards the application, up to the last acknowledgement behind its close. */
export class AppEnd {
  readonly socket: LocalEnd;
  readonly #restored: RestoredClosing;
  readonly #over: () => void;
  #lingering: LingeringClose | undefined;

  /** @param over the last that was sent on a closed connection has got through */
  constructor(socket: LocalEnd, restored: RestoredClosing, over: () => void) {
    this.socket = socket;
    this.#restored = restored;
    this.#over = over;
  }

  /** The connection is closed, and its last bytes are on their way. */
  get lingers(): boolean {
    return this.#lingering !== undefined;
  }

  /** What the kernel was not allowed to send leaves now. */
  push(): void {
    this.socket.push();
    this.#lingering?.push();
  }

  /**
   * The state of the kernel's socket. Undefined when there is none.
   * @param appEnd the application's end of the connection
   * @throws Error as {@link takeEnd}
   */
  take(appEnd: { readonly local: Endpoint; readonly remote: Endpoint }): TcpEnd | undefined {
    const fd = this.#lingering?.fd ?? this.socket.fd;
    if (fd < 0) return undefined;
    const { ended, finDelivered } = this.#restored;
    const closed = takeClosed(fd, { local: appEnd.remote, remote: appEnd.local });
    return closed ?? takeEnd(fd, { received: ended, acknowledged: finDelivered });
  }

  /** Closes it as if there were no sidecar. Both directions have ended in order. */
  close(): void {
    if (this.socket.gone || this.#lingering) return;
    const { ended, finDelivered } = this.#restored;
    const blind = ended || finDelivered;
    this.socket.resetOnClose(false);
    if (finDelivered) {
      silence(this.socket.fd);
    } else if (blind || !isOver(this.socket.fd)) {
      this.#lingering = new LingeringClose(duplicateDescriptor(this.socket.fd), blind, () => {
        this.#lingering = undefined;
        this.#over();
      });
    }
    // A link closes itself when both directions have ended; it does not know that of a restored one.
    if (blind) this.socket.close();
  }

  /** Ends it at once, with a reset if it was not closed both ways. */
  destroy(): void {
    this.#lingering?.giveUp();
    this.#lingering = undefined;
    this.socket.reset();
  }
}
