import { SwarmcutError, messageOf } from '../../../../src/model/errors.ts';
import { pause } from '../../../../src/platform/deadlines.ts';
import type { AgentClient } from '../../../../src/rpc/index.ts';
import type { RestoreEvent__Output } from '../../../../src/rpc/generated/swarmcut/RestoreEvent.ts';

/** A watch that breaks is taken up again within this time (the agents wait 10 s). Milliseconds. */
const RECONNECT_MS = 8_000;
const AGAIN_AFTER_MS = 200;

export interface WatchedEvent {
  readonly agent: AgentClient;
  readonly event: RestoreEvent__Output;
}

/**
 * Follows one restore on several agents. An agent that cannot be followed any more is an error: its waiting tasks would be given up by it.
 */
export class RestoreWatch {
  readonly #restoreId: string;
  readonly #stop = new AbortController();
  readonly #onEvent: (event: WatchedEvent) => void;
  readonly #onError: (error: SwarmcutError) => void;

  constructor(restoreId: string, onEvent: (event: WatchedEvent) => void, onError: (error: SwarmcutError) => void) {
    this.#restoreId = restoreId;
    this.#onEvent = onEvent;
    this.#onError = onError;
  }

  follow(agent: AgentClient): void {
    void this.#follow(agent);
  }

  stop(): void {
    this.#stop.abort();
  }

  async #follow(agent: AgentClient): Promise<void> {
    let seen = 0;
    let brokenSince: number | undefined;
    while (!stopped(this.#stop.signal)) {
      let index = 0;
      try {
        for await (const event of agent.watchRestore({ restoreId: this.#restoreId }, { signal: this.#stop.signal })) {
          brokenSince = undefined;
          // Each watch tells everything from the beginning.
          if (index++ < seen) continue;
          seen++;
          this.#onEvent({ agent, event });
        }
        // An agent ends the stream when the restore is over on it.
        return;
      } catch (error) {
        if (stopped(this.#stop.signal)) return;
        brokenSince ??= performance.now();
        const gone = !(error instanceof SwarmcutError) || error.code !== 'unreachable';
        if (gone || performance.now() - brokenSince > RECONNECT_MS) {
          this.#onError(
            new SwarmcutError(
              'unreachable',
              `the restore can no longer be followed on node ${agent.node}: ${messageOf(error)}`,
              {
                where: { node: agent.node },
                cause: error,
              },
            ),
          );
          return;
        }
        await pause(AGAIN_AFTER_MS);
      }
    }
  }
}

/** The signal may have been aborted since it was last looked at, which the compiler cannot know. */
function stopped(signal: AbortSignal): boolean {
  return signal.aborted;
}
