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
import { Activity, inActivity } from '../platform/activity.ts';
import { agentService } from './definition.ts';
import { fenceOf } from './fence.ts';
import type { Fence } from './fence.ts';
import type { ProgressReply } from './generated/swarmcut/ProgressReply.ts';
import type { ProgressRequest__Output } from './generated/swarmcut/ProgressRequest.ts';
import { AGENT_METHODS, CALL_KEY, isStream, MAX_MESSAGE_BYTES, METHOD_NAMES } from './methods.ts';
import type { AnswerOf, MethodName, ReceivedOf, StreamName, UnaryName } from './methods.ts';
import type { Revocations } from './identity/revocations.ts';
import { peerOf, peerText } from './roles.ts';
import type { Peer } from './roles.ts';
import { toStatus } from './status.ts';

/** What a handler knows besides its request. */
export interface CallContext {
  readonly method: MethodName;
  readonly peer: Peer;
  /** Aborted when the caller has given up or gone away. */
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
  /** Callers that are refused although their certificates are good otherwise; their calls under way end when they come to be among them. */
  readonly revocations?: Revocations;
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

/** What a caller may take to answer a ping of HTTP/2: it may be waiting for a processor. Milliseconds. */
const KEEPALIVE_TIMEOUT_MS = 20_000;

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
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  });
  const calls = new Calls(options);
  server.addService(agentService().service, handlers(implementation, calls, options.onInternalError));
  const port = await bind(server, options);
  return {
    port,
    close: async (graceMs = 2_000) => {
      calls.close();
      await close(server, graceMs);
    },
  };
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
  calls: Calls,
  onInternalError: AgentServerOptions['onInternalError'],
): UntypedServiceImplementation {
  const open = new OpenCalls((call) => calls.admitCoordinator('Progress', call));
  const result: UntypedServiceImplementation = { Progress: open.handler };
  const fail = (error: unknown, method: MethodName): ReturnType<typeof toStatus> => {
    if (!(error instanceof SwarmcutError)) onInternalError?.(error, method);
    return toStatus(error);
  };
  for (const method of METHOD_NAMES) {
    const name = method.charAt(0).toUpperCase() + method.slice(1);
    const handleStream: handleServerStreamingCall<unknown, unknown> = (call) => {
      calls
        .while(method, call, (own) => serveStream(implementation[method as StreamName] as StreamHandler, own, call))
        .then(
          () => call.end(),
          (error: unknown) => call.emit('error', fail(error, method)),
        );
    };
    const handleUnary: handleUnaryCall<unknown, unknown> = (call, callback) => {
      const handler = implementation[method as UnaryName] as UnaryHandler;
      open
        .track(call, () => calls.while(method, call, async (own) => await handler(call.request as never, own)))
        .then(
          (reply) => callback(null, reply),
          (error: unknown) => callback(fail(error, method)),
        );
    };
    result[name] = isStream(method) ? handleStream : handleUnary;
  }
  return result;
}

/** The calls that are not answered yet, and what they are at. */
class OpenCalls {
  readonly #activities = new Map<string, Activity>();
  readonly #admit: (call: Call) => void;

  /** @param admit throws for callers that are not told anything */
  constructor(admit: (call: Call) => void) {
    this.#admit = admit;
  }

  readonly handler: handleUnaryCall<ProgressRequest__Output, ProgressReply> = (call, callback) => {
    this.#answer(call).then(
      (reply) => callback(null, reply),
      (error: unknown) => callback(toStatus(error)),
    );
  };

  /** Does the work of a call. */
  async track<T>({ metadata }: ServerUnaryCall<unknown, unknown>, work: () => Promise<T>): Promise<T> {
    const [id] = metadata.get(CALL_KEY);
    if (typeof id !== 'string') return work();
    const activity = new Activity();
    this.#activities.set(id, activity);
    try {
      return await inActivity(activity, work);
    } finally {
      this.#activities.delete(id);
    }
  }

  async #answer(asked: ServerUnaryCall<ProgressRequest__Output, ProgressReply>): Promise<ProgressReply> {
    this.#admit(asked);
    const known = asked.request.calls.flatMap((call) => {
      const activity = this.#activities.get(call);
      return activity === undefined ? [] : [activity.progress().then((progress) => ({ call, ...progress }))];
    });
    return { calls: await Promise.all(known) };
  }
}

type UnaryHandler = (request: never, context: CallContext) => unknown;
type StreamHandler = (request: never, context: CallContext) => AsyncIterable<unknown>;

type Call = ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>;

/** The calls under way, so that those of a caller whose certificate is revoked can be ended. */
class Calls {
  readonly #revocations: Revocations | undefined;
  readonly #admit: AgentServerOptions['admit'];
  readonly #open = new Set<() => void>();
  readonly #unsubscribe: (() => void) | undefined;

  constructor({ revocations, admit }: Pick<AgentServerOptions, 'revocations' | 'admit'>) {
    this.#revocations = revocations;
    this.#admit = admit;
    this.#unsubscribe = revocations?.onChange(() => {
      for (const look of this.#open) look();
    });
  }

  /** Does the work of a call, unless the caller may not have it done. Rejects at once when the caller's certificate is revoked meanwhile. */
  async while<Result>(method: MethodName, call: Call, work: (own: CallContext) => Promise<Result>): Promise<Result> {
    const problem = (): string | undefined => this.#problem(call);
    const refused = problem();
    if (refused !== undefined) throw revokedError(refused);
    const controller = new AbortController();
    const own = context(method, call, controller);
    // Only of whom has locks: an agent could shut every coordinator out with a number of its own.
    const fence = own.peer.role === 'coordinator' ? fenceOf(call.metadata) : undefined;
    if (fence !== undefined) this.#admit?.(fence);
    let look: (() => void) | undefined;
    const revoked = new Promise<never>((_, reject) => {
      look = () => {
        const why = problem();
        if (why === undefined) return;
        const error = revokedError(why);
        controller.abort(error);
        reject(error);
      };
      this.#open.add(look);
    });
    try {
      return await Promise.race([work(own), revoked]);
    } finally {
      if (look !== undefined) this.#open.delete(look);
    }
  }

  /** For what is no work, and is asked whatever lock there is. @throws SwarmcutError `precondition` for anybody but a coordinator whose certificate counts */
  admitCoordinator(method: string, call: Call): void {
    const refused = this.#problem(call);
    if (refused !== undefined) throw revokedError(refused);
    const peer = peerOf(call.getAuthContext().sslPeerCertificate);
    if (peer.role !== 'coordinator') throw notAllowed(method, peer);
  }

  close(): void {
    this.#unsubscribe?.();
  }

  #problem(call: Call): string | undefined {
    const certificate = call.getAuthContext().sslPeerCertificate;
    return certificate === undefined ? undefined : this.#revocations?.problem(certificate);
  }
}

function revokedError(problem: string): SwarmcutError {
  return new SwarmcutError('precondition', `${problem}: nothing is done for it`, {
    advice:
      'issue another certificate (`coordinator ca issue <node>`, or `coordinator join-token`) if the node is to be trusted again',
  });
}

async function serveStream(
  handler: StreamHandler,
  own: CallContext,
  call: ServerWritableStream<unknown, unknown>,
): Promise<void> {
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

function notAllowed(method: string, peer: Peer): SwarmcutError {
  return new SwarmcutError('precondition', `${method} is not allowed to ${peerText(peer)}`, {
    advice: 'Use the certificate that `coordinator ca init` made for the coordinator.',
  });
}

function context(method: MethodName, call: Call, controller: AbortController): CallContext {
  const peer = peerOf(call.getAuthContext().sslPeerCertificate);
  if (peer.role !== 'coordinator' && !(peer.role === 'agent' && AGENT_METHODS.has(method)))
    throw notAllowed(method, peer);
  const abort = (): void => controller.abort(new SwarmcutError('interrupted', `the caller of ${method} has gone`));
  if (call.cancelled) abort();
  else call.once('cancelled', abort);
  return { method, peer, signal: controller.signal };
}
