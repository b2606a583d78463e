import type { Connection } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import type { StreamPlan } from '../../../src/model/proxy-plan.ts';
import type { RecordedStream } from '../../../src/storage/channel-records.ts';
import { emptyEnd } from '../../linux/repair.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import type { EmptiedEnd } from '../../linux/repair.ts';
import type { RestoredStream } from '../../../src/streams/stream-state.ts';

/** What becomes of one recorded stream at its restored task. */
export type Restoration =
  /** Nothing is left of it here. `problem`: it should not be so. */
  | { readonly kind: 'none'; readonly problem?: string }
  /** The application hears a reset. */
  | { readonly kind: 'reset'; readonly end: TcpEnd }
  /** It goes on. */
  | { readonly kind: 'connected'; readonly end: TcpEnd; readonly stream: RestoredStream }
  /** The application had closed its socket, and what it sent last is to be handed on. */
  | { readonly kind: 'absent'; readonly stream: RestoredStream }
  /** The application had not accepted the connection: it is made anew. */
  | { readonly kind: 'unaccepted'; readonly stream: RestoredStream };

/**
 * Brings together what the sidecar recorded, what CRIU recorded of the application's end, and what is planned.
 * @param end the sidecar's end of the local connection
 * @param connection the application's
 * @param recorded the incoming channel's state
 */
export function restorationOf(
  cut: RecordedStream,
  plan: Pick<StreamPlan, 'action'> | undefined,
  end: TcpEnd | undefined,
  connection: Connection | undefined,
  recorded: Buffer,
): Restoration {
  if (!end) return { kind: 'none' };
  const action = plan?.action ?? 'RESET';
  const finReceived = cut.finDelivered || cut.finRecorded;
  const ended = finReceived || cut.resetRecorded;
  const incoming = {
    received: cut.delivered + cut.recorded,
    undelivered: [recorded],
    finReceived,
    resetReceived: cut.resetRecorded,
    finDelivered: false,
  };
  const stream: RestoredStream = {
    outgoing: { sent: cut.sent, finSent: cut.finSent, pending: end.received },
    appEnded: end.fins.received || cut.finSent,
    incoming,
    accepted: true,
    phase: cut.resetRecorded || action === 'ALONE' ? 'ended' : action === 'OPEN' ? 'opening' : 'reconnecting',
  };
  const { fins } = end;
  const over = fins.received && fins.sent && fins.acknowledged;
  if (!connection || connection.state === 'CLOSE' || over) {
    if (action !== 'RESUME' || cut.resetRecorded) return { kind: 'none' };
    const untouched = cut.delivered === 0 && cut.sent === 0 && end.received.length === 0 && !stream.appEnded;
    if (cut.role === 'acceptor' && untouched) return { kind: 'unaccepted', stream: { ...stream, accepted: false } };
    if (!stream.appEnded)
      return { kind: 'none', problem: 'the application had closed its socket with bytes on the way' };
    return cut.finSent && finReceived ? { kind: 'none' } : { kind: 'absent', stream };
  }
  let emptied: EmptiedEnd;
  try {
    emptied = emptyEnd(end, connection.rcvNxt);
  } catch (error) {
    return { kind: 'none', problem: messageOf(error) };
  }
  if (action === 'RESET' || (action === 'ALONE' && !ended)) return { kind: 'reset', end: emptied.end };
  const { unsent, finDelivered } = emptied;
  return {
    kind: 'connected',
    end: emptied.end,
    stream: { ...stream, incoming: { ...incoming, undelivered: [unsent, recorded], finDelivered } },
  };
}
