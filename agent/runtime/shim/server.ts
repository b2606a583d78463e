import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { MAX_REQUEST_BYTES } from './protocol.ts';
import type { CreateAnswer, CreateRequest, RestoredAnswer, RestoredRequest, StartRequest } from './protocol.ts';
import { failPoint } from '../../../src/platform/fail-points.ts';

export type { CreateAnswer, CreateRequest, RestoredAnswer, RestoredRequest, StartRequest } from './protocol.ts';

/** So often a shim that waits for a sidecar is told that it is being started. Milliseconds. */
const AT_IT_MS = 1_000;

/**
 * What decides about containers that wait in the shim. The answer may take as long as it takes; a thrown error makes the container
 * fail with its message. The same container may be asked about again if the connection broke.
 */
export interface ShimHandler {
  /**
   * `signal` is aborted when the shim has gone (the engine gave the container up): while it waits, or after the answer `restore` and
   * before it has asked `restored`.
   */
  create(request: CreateRequest, signal: AbortSignal): Promise<CreateAnswer>;
  restored(request: RestoredRequest, signal: AbortSignal): Promise<RestoredAnswer>;
}

/** What gives containers their sidecars before they start. */
export interface StartHandler {
  /** A thrown error does not keep the container from starting. */
  start(request: StartRequest): Promise<void>;
}

/** As far as we need a logger: pino has this shape. */
export interface ShimLog {
  warn(details: object, message: string): void;
}

export interface ShimServerOptions {
  /** `<run>/shim.sock`; its folder is made if need be. */
  readonly socketPath: string;
  readonly handler: ShimHandler;
  readonly sidecars: StartHandler;
  readonly log: ShimLog;
}

/** The agent's side of the shim: HTTP over a Unix socket that only root can open. */
export class ShimServer {
  readonly #options: ShimServerOptions;
  readonly #server: Server;
  /** Open responses to `create` of containers that runc restores now. */
  readonly #restoring = new Map<string, ServerResponse>();

  constructor(options: ShimServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) =>
        options.log.warn({ error: messageOf(error), url: request.url }, 'the shim could not be answered'),
      );
    });
    // A container waits for as long as a restore takes.
    this.#server.requestTimeout = 0;
    this.#server.timeout = 0;
  }

  /** Takes over the socket from an agent that has died. Rejects when the path cannot be bound. */
  async listen(): Promise<void> {
    const { socketPath } = this.#options;
    mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 });
    rmSync(socketPath, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      // Bound within this call, so nobody can connect before the mode is right.
      const mask = process.umask(0o177);
      try {
        this.#server.listen(socketPath, resolve);
      } finally {
        process.umask(mask);
      }
    });
    chmodSync(socketPath, 0o600);
  }

  /** Cuts off waiting shims: they try again for a while, in case the agent is only restarted. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new SwarmcutError('interrupted', 'the shim has gone'));
    });
    try {
      await this.#dispatch(request, response, gone.signal);
    } catch (error) {
      if (gone.signal.aborted) return;
      const message = messageOf(error);
      if (request.url !== '/start')
        this.#options.log.warn({ error: message, url: request.url }, 'a waiting container fails');
      response.writeHead(500, { 'content-type': 'text/plain' }).end(message);
    }
  }

  async #start(request: StartRequest, response: ServerResponse): Promise<void> {
    const { containerId, service } = request;
    const begun = performance.now();
    const atIt = setInterval(() => response.writeProcessing(), AT_IT_MS);
    try {
      await this.#options.sidecars.start(request);
    } catch (error) {
      this.#options.log.warn(
        { containerId, service, error: messageOf(error) },
        'a container starts without its sidecar',
      );
      throw error;
    } finally {
      clearInterval(atIt);
    }
    if (response.destroyed) {
      const ms = Math.round(performance.now() - begun);
      this.#options.log.warn({ containerId, service, ms }, 'a container has started before its sidecar was ready');
    }
    response.end('{}\n');
  }

  #forget(containerId: string, response: ServerResponse): void {
    // Not if the same container was asked about again meanwhile.
    if (this.#restoring.get(containerId) === response) this.#restoring.delete(containerId);
  }

  async #dispatch(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { handler } = this.#options;
    const body = await readJson(request);
    if (request.method === 'POST' && request.url === '/create') {
      const create = body as CreateRequest;
      await failPoint('agent.arrived');
      const answer = await handler.create(create, signal);
      if (answer.action === 'restore') {
        this.#restoring.set(create.containerId, response);
        response.once('close', () => this.#forget(create.containerId, response));
      }
      response.write(`${JSON.stringify(answer)}\n`);
      if (answer.action !== 'restore') response.end();
    } else if (request.method === 'POST' && request.url === '/restored') {
      const restored = body as RestoredRequest;
      this.#restoring.get(restored.containerId)?.end();
      response.end(`${JSON.stringify(await handler.restored(restored, signal))}\n`);
    } else if (request.method === 'POST' && request.url === '/start') {
      await this.#start(body as StartRequest, response);
    } else {
      throw new Error(
        `the agent does not know ${request.method ?? ''} ${request.url ?? ''}: shim and agent differ in version`,
      );
    }
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_REQUEST_BYTES) throw new Error(`a request of more than ${MAX_REQUEST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}
