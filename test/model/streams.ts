import type { StreamCut } from '../../src/model/checkpoint.ts';
import { endpoint } from './connections.ts';

/** Ids have 32 hexadecimal digits. */
export function streamId(number: number): string {
  return number.toString(16).padStart(32, '0');
}

/** An end of stream 1 from 10.0.1.2:4000 to 10.0.1.3:9000 on which nothing has happened yet. */
export function streamEnd(role: StreamCut['role'], changes: Partial<StreamCut> = {}): StreamCut {
  return {
    id: streamId(1),
    role,
    client: endpoint('10.0.1.2:4000'),
    server: endpoint('10.0.1.3:9000'),
    target: endpoint('10.0.1.3:9000'),
    opening: false,
    sent: 0,
    finSent: false,
    delivered: 0,
    finDelivered: false,
    recorded: 0,
    finRecorded: false,
    resetRecorded: false,
    endTaken: true,
    complete: true,
    ...changes,
  };
}
