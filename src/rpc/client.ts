import { Metadata } from '@grpc/grpc-js';
import type { CallOptions, ChannelCredentials, ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { SwarmcutError } from '../model/errors.ts';
import { seconds, within } from '../platform/deadlines.ts';
import { CallWatch, type AskProgress } from './call-watch.ts';
import { agentService } from './definition.ts';
import { fenceMetadata } from './fence.ts';
import type { Fence } from './fence.ts';
import type { ProgressReply__Output } from './generated/swarmcut/ProgressReply.ts';
import { CALL_KEY, DEADLINES_MS, isStream, MAX_MESSAGE_BYTES, METHOD_NAMES } from './methods.ts';
import type { MethodName, ReplyOf, RequestOf, StreamName, UnaryName } from './methods.ts';
import { fromServiceError } from './status.ts';
import { expiredError } from './validity.ts';
import type { CallPlace } from './status.ts';

export interface CallSettings {
  /** Longest time without progress; of a stream, until its next message. Milliseconds; default: {@link DEADLINES_MS} of the method. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Told what the agent is at, now and then, when the call has got on. Not for streams. */
  readonly onProgress?: (doing: string) => void;
}

/**
 * The agent of one node. Every method rejects (streams: throw while being read) with a {@link SwarmcutError} that names the node:
 * the agent's own error if it answered, else `unreachable` (no connection, no progress) or `interrupted` (the signal).
 */
export type AgentClient = {
  [Name in UnaryName]: (request: RequestOf<Name>, settings?: CallSettings) => Promise<ReplyOf<Name>>;
} & {
  /** Leaving the iteration early cancels the call. The agent sends no faster than this is read. */
  [Name in StreamName]: (request: RequestOf<Name>, settings?: CallSettings) => AsyncIterable<ReplyOf<Name>>;
} & {
  readonly node: string;
  readonly address: string;
  /** Ends the connection as soon as the calls under way have ended; later calls fail. */
  close(): void;
};

export interface AgentAddress {
  /** The node's name: its certificate must be issued for it. */
  readonly node: string;
  /** `host:port`. */
  readonly address: string;
  readonly credentials: ChannelCredentials;
  /** Asked at each call: under which lock it is made. */
  readonly fence?: () => Fence | undefined;
}

/** What an agent may take to answer a ping of HTTP/2: it may be waiting for a processor. Milliseconds. */
const KEEPALIVE_TIMEOUT_MS = 20_000;

/** Makes a client. The connection is made at the first call, and again when it has broken. */
export function connectAgent({ node, address, credentials, fence = () => undefined }: AgentAddress): AgentClient {
  const channel = new (agentService())(address, credentials, {
    'grpc.ssl_target_name_override': node,
    'grpc.default_authority': node,
    // Only for a node that is gone without a word: a process that has died is told by its kernel. One that is busy answers late.
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    // An agent that is being restarted should be found again soon; grpc-js would back off up to two minutes.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1_000,
    // HTTP/2's default of 64 KiB would let a link with 10 ms latency carry 6 MB/s at most. Also bounds what waits for a slow reader.
    'grpc-node.flow_control_window': 1024 * 1024,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
  });
  const client: Record<string, unknown> = { node, address, close: () => channel.close() };
  const watch = new CallWatch(asking(channel.progress.bind(channel) as unknown as Start));
  for (const method of METHOD_NAMES) {
    const call = channel[method].bind(channel) as unknown as Call;
    const start: Start = (request, metadata, options, callback) => {
      metadata.merge(fenceMetadata(fence()));
      return call(request, metadata, options, callback);
    };
    client[method] = (request: unknown, settings: CallSettings = {}) => {
      const deadlineMs = settings.deadlineMs ?? DEADLINES_MS[method];
      const place: CallPlace = { node, address, method: capitalized(method), deadlineMs };
      return isStream(method)
        ? readStream(start, request, settings.signal, place)
        : callUnary(start, request, settings, place, watch);
    };
  }
  return client as unknown as AgentClient;
}

type Callback = (error: ServiceError | null, reply: unknown) => void;
type Call = (
  request: unknown,
  metadata: Metadata,
  options: CallOptions,
  callback?: Callback,
) => ClientReadableStream<unknown>;
/** @param metadata goes out beside the fence */
type Start = (
  request: unknown,
  metadata: Metadata,
  options: CallOptions,
  callback?: Callback,
) => ClientReadableStream<unknown>;

function capitalized(method: MethodName): string {
  return method.charAt(0).toUpperCase() + method.slice(1);
}

async function callUnary(
  start: Start,
  request: unknown,
  { signal, onProgress }: CallSettings,
  place: CallPlace,
  watch: CallWatch,
): Promise<unknown> {
  if (signal?.aborted === true) throw interrupted(signal, place);
  using watched = watch.watch(place, onProgress);
  const metadata = new Metadata();
  metadata.set(CALL_KEY, watched.id);
  const end = signal === undefined ? watched.signal : AbortSignal.any([signal, watched.signal]);
  return await new Promise((resolve, reject) => {
    const call = start(request, metadata, {}, (error, reply) => {
      end.removeEventListener('abort', cancel);
      if (error === null) resolve(reply);
      else if (signal?.aborted === true) reject(interrupted(signal, place));
      else if (watched.signal.aborted) reject(watched.signal.reason as Error);
      else void errorOf(error, place).then(reject);
    });
    const cancel = (): void => call.cancel();
    end.addEventListener('abort', cancel, { once: true });
  });
}

function asking(start: Start): AskProgress {
  return (calls) =>
    new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + DEADLINES_MS.progress };
      start({ calls: [...calls] }, new Metadata(), options, (error, reply) => {
        if (error !== null) reject(error);
        else resolve(new Map((reply as ProgressReply__Output).calls.map((each) => [each.call, each])));
      });
    });
}

async function* readStream(
  start: Start,
  request: unknown,
  signal: AbortSignal | undefined,
  place: CallPlace,
): AsyncGenerator<unknown, void, undefined> {
  const gone = (): boolean => signal?.aborted === true;
  if (signal !== undefined && gone()) throw interrupted(signal, place);
  const call = start(request, new Metadata(), {});
  const cancel = (): void => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    const messages = call[Symbol.asyncIterator]() as AsyncIterator<unknown, undefined>;
    for (;;) {
      const next = await nextOf(messages, place);
      if (next.done === true) return;
      yield next.value;
    }
  } catch (error) {
    if (signal !== undefined && gone()) throw interrupted(signal, place);
    throw error instanceof SwarmcutError ? error : await errorOf(error as ServiceError, place);
  } finally {
    signal?.removeEventListener('abort', cancel);
    call.cancel();
  }
}

/** Only the time for which the agent is waited for counts, not that which the reader takes. */
async function nextOf(
  messages: AsyncIterator<unknown, undefined>,
  { node, address, method, deadlineMs }: CallPlace,
): Promise<IteratorResult<unknown, undefined>> {
  const next = messages.next();
  if (deadlineMs === Number.POSITIVE_INFINITY) return next;
  return within(next, deadlineMs, () => {
    next.catch(() => undefined);
    const message = `the agent of node ${node} (${address}) has sent nothing more of ${method} for ${seconds(deadlineMs)}`;
    return new SwarmcutError('unreachable', message, { where: { node } });
  });
}

/** Never rejects. TLS says that a certificate has expired, but not whose and when. */
async function errorOf(error: ServiceError, place: CallPlace): Promise<SwarmcutError> {
  const expired = /certificate.*expired/i.test(error.details)
    ? await expiredError(place, error, new Date())
    : undefined;
  return expired ?? fromServiceError(error, place);
}

function interrupted(signal: AbortSignal, { node, method }: CallPlace): SwarmcutError {
  const reason: unknown = signal.reason;
  if (reason instanceof SwarmcutError) return reason;
  return new SwarmcutError('interrupted', `${method} on node ${node} was interrupted`, {
    where: { node },
    cause: reason,
  });
}
