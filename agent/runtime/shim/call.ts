import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { pause } from '../../../src/platform/deadlines.ts';

/** The agent could not be reached, or went away before it answered. */
export class AgentGone extends Error {
  override readonly name = 'AgentGone';
  /** There was a connection, and it broke. */
  readonly wasThere: boolean;

  constructor(cause: Error, wasThere: boolean) {
    super(cause.message, { cause });
    this.wasThere = wasThere;
  }
}

export interface CallOptions {
  /** How long to try to reach an agent that is not there (it may be restarting). Milliseconds. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
  /** Told now and then that the agent is at it. */
  readonly alive?: () => void;
}

const RETRY_EVERY_MS = 200;

/**
 * Posts JSON to the agent's socket and waits for its answer, however long it takes. If the agent goes away meanwhile, asks again
 * until `patienceMs` have passed without a connection.
 * @throws AgentGone when the agent stays away; Error with the agent's own words when it refuses
 */
export async function callAgent<Answer>(
  socketPath: string,
  path: string,
  body: unknown,
  options: CallOptions,
): Promise<Answer> {
  let lastSeenMs = performance.now();
  for (;;) {
    try {
      return await post<Answer>(socketPath, path, body, options);
    } catch (error) {
      if (!(error instanceof AgentGone)) throw error;
      if (error.wasThere) lastSeenMs = performance.now();
      if (performance.now() - lastSeenMs >= options.patienceMs) throw error;
    }
    await pause(RETRY_EVERY_MS, options.signal);
  }
}

function post<Answer>(
  socketPath: string,
  path: string,
  body: unknown,
  { signal, alive }: CallOptions,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let connected = false;
    const gone = (error: Error): void =>
      reject(signal.aborted ? (signal.reason as Error) : new AgentGone(error, connected));
    const outgoing = request(
      { socketPath, path, method: 'POST', signal, agent: false, headers: { 'content-type': 'application/json' } },
      (response) => {
        readAnswer<Answer>(response).then(resolve, (thrown: unknown) => {
          const error = thrown instanceof Error ? thrown : new Error(String(thrown));
          if (response.complete) reject(error);
          else gone(error);
        });
      },
    );
    outgoing.on('socket', (socket) => socket.once('connect', () => (connected = true)));
    outgoing.on('error', gone);
    if (alive !== undefined) outgoing.on('information', alive);
    outgoing.end(JSON.stringify(body));
  });
}

/** The answer is the first line. What remains of the response is the agent's way to see that we live: it stays open, unread. */
function readAnswer<Answer>(response: IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const finish = (): void => {
      if (response.statusCode !== 200) reject(new Error(text.trimEnd()));
      else if (!text.endsWith('\n')) reject(new Error('the answer was cut off'));
      else resolve(JSON.parse(text) as Answer);
    };
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      text += chunk;
      if (response.statusCode !== 200 || !text.endsWith('\n')) return;
      response.socket.unref();
      finish();
    });
    response.on('end', finish);
    response.on('error', reject);
  });
}
