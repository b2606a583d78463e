import { Server } from '@grpc/grpc-js';
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerCredentials,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { SwarmcutError, messageOf } from '../model/errors.ts';
import { agentService } from './definition.ts';
import { fenceOf } from './fence.ts';
import type { Fence } from './fence.ts';
import { AGENT_METHODS, isStream, MAX_MESSAGE_BYTES, METHOD_NAMES } from './methods.ts';
import type { AnswerOf, MethodName, ReceivedOf, StreamName, UnaryName } from './methods.ts';
import { peerOf, peerText } from './roles.ts';
import type { Peer } from './roles.ts';
import { toStatus } from './status.ts';

/** What a handler knows besides its request. */
export interface CallContext {
  readonly method: MethodName;
  readonly peer: Peer;
  /** Aborted when the caller has cancelled, gone away, or its deadline has passed. */
  readonly signal: AbortSignal;
}

/**
 * What an agent does for each call. A thrown {@link SwarmcutError} reaches the caller with its code, place and advice.
 * A stream is read only as fast as the caller takes it. A handler that waits for something of its own must also watch
 * `context.signal`: nobody can interrupt it from outside.
 */
export type AgentImplementation = {
  [Name in UnaryName]: (request: ReceivedOf<Name>, context: CallContext) => Promise<AnswerOf<Name>> | AnswerOf<Name>;
} & {
  [Name in StreamName]: (request: ReceivedOf<Name>, context: CallContext) => AsyncIterable<AnswerOf<Name>>;
};

export interface AgentServerOptions {
  /** Address to listen on. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly credentials: ServerCredentials;
  /** Asked before each call that is made under a lock. What it throws is the answer. */
  readonly admit?: (fence: Fence) => void;
  /** Called for errors that are not {@link SwarmcutError}s: they are our own mistakes and belong into the log. */
  readonly onInternalError?: (error: unknown, method: MethodName) => void;
}

export interface AgentServer {
  /** The port that it listens on. */
  readonly port: number;
  /** Lets running calls end for `graceMs` milliseconds (default 2000), then cuts them off. */
  close(graceMs?: number): Promise<void>;
}

/** Starts an agent's server. Throws `precondition` when the port cannot be had. */
export async function createAgentServer(
  implementation: AgentImplementation,
  options: AgentServerOptions,
): Promise<AgentServer> {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    // Notices a caller whose machine has died, so that its calls are aborted here too.
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
  });
  server.addService(agentService().service, handlers(implementation, options));
  const port = await bind(server, options);
  return { port, close: (graceMs = 2_000) => close(server, graceMs) };
}

function bind(server: Server, { host, port, credentials }: AgentServerOptions): Promise<number> {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else {
        reject(
          new SwarmcutError('precondition', `cannot listen on ${address}: ${messageOf(error)}`, {
            advice: 'Is another agent running on this node? Choose another port with --port.',
            cause: error,
          }),
        );
      }
    });
  });
}

async function close(server: Server, graceMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    server.tryShutdown(() => resolve());
    timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, graceMs);
  });
  clearTimeout(timer);
}

function handlers(
  implementation: AgentImplementation,
  { admit, onInternalError }: Pick<AgentServerOptions, 'admit' | 'onInternalError'>,
): UntypedServiceImplementation {
  const result: UntypedServiceImplementation = {};
  const fail = (error: unknown, method: MethodName): ReturnType<typeof toStatus> => {
    if (!(error instanceof SwarmcutError)) onInternalError?.(error, method);
    return toStatus(error);
  };
  for (const method of METHOD_NAMES) {
    const name = method.charAt(0).toUpperCase() + method.slice(1);
    const handleStream: handleServerStreamingCall<unknown, unknown> = (call) => {
      serveStream(implementation[method as StreamName] as StreamHandler, method, call, admit).then(
        () => call.end(),
        (error: unknown) => call.emit('error', fail(error, method)),
      );
    };
    const handleUnary: handleUnaryCall<unknown, unknown> = (call, callback) => {
      serveUnary(implementation[method as UnaryName] as UnaryHandler, method, call, admit).then(
        (reply) => callback(null, reply),
        (error: unknown) => callback(fail(error, method)),
      );
    };
    result[name] = isStream(method) ? handleStream : handleUnary;
  }
  return result;
}

type UnaryHandler = (request: never, context: CallContext) => unknown;
type StreamHandler = (request: never, context: CallContext) => AsyncIterable<unknown>;

async function serveUnary(
  handler: UnaryHandler,
  method: MethodName,
  call: ServerUnaryCall<unknown, unknown>,
  admit: AgentServerOptions['admit'],
): Promise<unknown> {
  const own = context(method, call);
  const fence = fenceOf(call.metadata);
  if (fence !== undefined) admit?.(fence);
  return await handler(call.request as never, own);
}

async function serveStream(
  handler: StreamHandler,
  method: MethodName,
  call: ServerWritableStream<unknown, unknown>,
  admit: AgentServerOptions['admit'],
): Promise<void> {
  const own = context(method, call);
  const fence = fenceOf(call.metadata);
  if (fence !== undefined) admit?.(fence);
  let goOn: (() => void) | undefined;
  own.signal.addEventListener('abort', () => goOn?.(), { once: true });
  for await (const message of handler(call.request as never, own)) {
    if (own.signal.aborted) return;
    // Back-pressure: one message at a time, so that HTTP/2's window is the only buffer. A call that is cancelled may never say that the
    // message is written.
    await new Promise<void>((resolve) => {
      goOn = resolve;
      call.write(message, () => resolve());
    });
  }
}

function context(
  method: MethodName,
  call: ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>,
): CallContext {
  const peer = peerOf(call.getAuthContext().sslPeerCertificate);
  if (peer.role !== 'coordinator' && !(peer.role === 'agent' && AGENT_METHODS.has(method))) {
    throw new SwarmcutError('precondition', `${method} is not allowed to ${peerText(peer)}`, {
      advice: 'Use the certificate that `coordinator ca init` made for the coordinator.',
    });
  }
  const controller = new AbortController();
  const abort = (): void => controller.abort(new SwarmcutError('interrupted', `the caller of ${method} has gone`));
  if (call.cancelled) abort();
  else call.once('cancelled', abort);
  return { method, peer, signal: controller.signal };
}
