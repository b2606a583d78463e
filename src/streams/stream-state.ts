import type { RestoredIncoming } from './incoming.ts';
import type { RestoredOutgoing } from './outgoing.ts';
import type { TunnelPhase } from './tunnel-side.ts';

/** How a stream begins that was cut before. Nothing of it moves before {@link StreamMachine.release}. */
export interface RestoredStream {
  readonly outgoing: RestoredOutgoing;
  /** The application has closed its direction. */
  readonly appEnded: boolean;
  readonly incoming: RestoredIncoming;
  /** False: its application's kernel has only just been connected to (AppCut). */
  readonly accepted: boolean;
  /** `opening`: it is opened anew. `reconnecting`: it goes on when the two sidecars have found each other. `ended`: there is no peer any more. */
  readonly phase: Exclude<TunnelPhase, 'open'>;
}

export interface StreamOptions {
  /** Which end of the application's connection this is. */
  readonly role: 'opener' | 'acceptor';
  /** Nothing is read from or delivered to the application before {@link StreamMachine.release}. */
  readonly blocked: boolean;
  /** There is no connection with the application any more. */
  readonly appGone: boolean;
  readonly restored: RestoredStream | undefined;
}

/** Where the two channels of a stream stand at a cut. */
export interface StreamPosition {
  /** The peer has not accepted. */
  readonly opening: boolean;
  readonly sent: number;
  readonly finSent: boolean;
  readonly delivered: number;
  readonly finDelivered: boolean;
}

/** What the sockets say after everything that {@link StreamMachine.poll} gave has been carried out. */
export interface SocketState {
  /** Written to the application, and not in the kernel. Bytes. */
  readonly appUnsentBytes: number;
  /** All that was written to the tunnel is in the kernel, and it is not gone. */
  readonly tunnelIdle: boolean;
}

/** For people: where a stream stands. */
export interface StreamState {
  readonly sent: number;
  readonly finSent: boolean;
  readonly received: number;
  readonly finReceived: boolean;
  /** What waits for {@link StreamMachine.release}. Bytes. */
  readonly backlogBytes: number;
  /** One of the two applications has reset the connection. */
  readonly reset: boolean;
}
