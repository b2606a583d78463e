import type { CallContext, AnswerOf, ReceivedOf } from '../../src/rpc/index.ts';
import { failPoint } from '../../src/platform/fail-points.ts';
import type { PartStore } from '../checkpoints/store/index.ts';
import { openPart } from './open-part.ts';
import { promptCollection } from './prompt-collection.ts';
import type { Tickets } from './tickets.ts';

/**
 * Size of a chunk: gRPC queues up to 16 messages where they are received, and this times 16 is what a slow disk may cost there.
 * Bytes; at most 1 MiB (proto/agent.proto).
 */
export const CHUNK_BYTES = 256 * 1024;

/**
 * The handler of `Fetch`: streams parts in the order asked for. Reads the disk no faster than the peer takes the chunks, so memory is
 * bounded whatever the size of a part.
 * @throws SwarmcutError `precondition` when the peer may not have them, or no longer; `not-found` at the first part that is not here
 */
export async function* serveFetch(
  store: PartStore,
  tickets: Pick<Tickets, 'admit'>,
  request: ReceivedOf<'fetch'>,
  context: Pick<CallContext, 'signal' | 'peer'>,
): AsyncGenerator<AnswerOf<'fetch'>, void, undefined> {
  const stillGood = tickets.admit(context.peer, request);
  using _collection = promptCollection();
  for (const sha256 of request.sha256) {
    stillGood();
    await failPoint('agent.send');
    const { file, sizeBytes } = await openPart(store, sha256);
    try {
      for (let offset = 0; ;) {
        if (context.signal.aborted) return;
        const data = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, sizeBytes - offset));
        const { bytesRead } = await file.read(data, 0, data.length, offset);
        // A part that has become shorter ends here; the receiver's hash tells.
        const last = offset + bytesRead >= sizeBytes || bytesRead === 0;
        yield { sha256, offset, data: data.subarray(0, bytesRead), last };
        offset += bytesRead;
        if (last) break;
      }
    } finally {
      await file.close();
    }
  }
}
