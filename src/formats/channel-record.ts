import { z } from 'zod';
import { endpointSchema, streamCutSchema } from '../model/checkpoint.ts';
import type { TcpEndState } from './tcp-end.ts';

/** What `channels.json` must look like. Apart from record-files.ts, which sidecars load, and which does not need zod for that. */
const count = z.number().int().nonnegative();

const tcpEndSchema = z.object({
  local: endpointSchema,
  remote: endpointSchema,
  fins: z.object({ sent: z.boolean(), acknowledged: z.boolean(), received: z.boolean() }),
  options: z.number(),
  mss: z.number(),
  sendScale: z.number(),
  receiveScale: z.number(),
  timestamp: z.number(),
  receiveSeq: z.number(),
  sendSeq: z.number(),
  window: z.string(),
}) satisfies z.ZodType<TcpEndState>;

const endSchema = tcpEndSchema.extend({
  /** In `ends.bin`. */
  at: count,
  receivedBytes: count,
  unacknowledgedBytes: count,
  unsentBytes: count,
});

const recordedStreamSchema = streamCutSchema.extend({
  /** In `channels.bin`. */
  at: count,
  /** There if `endTaken`. */
  end: endSchema.optional(),
});
/** One stream of a record. */
export type RecordedStream = z.infer<typeof recordedStreamSchema>;

export const recordSchema = z.object({ version: z.literal(2), epoch: count, streams: z.array(recordedStreamSchema) });

/** What `channels.json` says. */
export type ChannelsRecord = z.infer<typeof recordSchema>;
