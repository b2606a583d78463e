import { SwarmcutError } from '../../src/model/errors.ts';
import type { RestoreEvent } from '../../src/rpc/generated/swarmcut/RestoreEvent.ts';
import type { Logger } from '../../src/platform/logger.ts';
import type { CreateRequest } from '../runtime/shim/protocol.ts';
import type { PartSource } from '../transfer/index.ts';
import { EventLog } from './event-log.ts';
import { WaitingContainer } from './waiting-container.ts';

/** When nobody watches a restore for this long, its coordinator is taken for gone. Milliseconds. */
const WATCH_GRACE_MS = 10_000;

export interface RestoreSessionOptions {
  readonly id: string;
  readonly stack: string;
  /** Nobody watches it any more. May be called several times. */
  readonly onOrphaned: () => void;
  readonly log: Logger;
}

/**
 * One restore or migration on this node: the containers that wait for it, and who follows it. It ends when the coordinator says so; one that
 * was given up takes no more orders until then, and its containers go on waiting.
 */
export class RestoreSession {
  readonly id: string;
  readonly stack: string;
  /** Why it was given up; undefined while it is under way. */
  givenUp: string | undefined;
  /** From where parts may come. */
  sources: readonly PartSource[] = [];
  readonly #options: RestoreSessionOptions;
  readonly #events = new EventLog();
  readonly #containers = new Map<string, WaitingContainer>();
  #watchers = 0;
  #orphaned: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: RestoreSessionOptions) {
    this.id = options.id;
    this.stack = options.stack;
    this.#options = options;
    this.#watchOver();
  }

  get containers(): Iterable<WaitingContainer> {
    return this.#containers.values();
  }

  /** What happens, from the beginning. */
  async *watch(signal: AbortSignal): AsyncGenerator<RestoreEvent> {
    this.#watchers++;
    clearTimeout(this.#orphaned);
    try {
      yield* this.#events.read(signal);
    } finally {
      this.#watchers--;
      this.#watchOver();
    }
  }

  /** A container that waits in the shim. @throws SwarmcutError `not-found` */
  container(containerId: string): WaitingContainer {
    const container = this.find(containerId);
    if (container !== undefined) return container;
    throw new SwarmcutError('not-found', `container ${containerId.slice(0, 12)} does not wait in restore ${this.id}`);
  }

  find(containerId: string): WaitingContainer | undefined {
    return this.#containers.get(containerId);
  }

  /** A container that an earlier agent has restored. */
  add(container: WaitingContainer): void {
    this.#containers.set(container.task.containerId, container);
  }

  /** The shim asks for this container, perhaps again. @param signal aborted when it asks no longer */
  arrived(request: CreateRequest, signal: AbortSignal): WaitingContainer {
    let container = this.#containers.get(request.containerId);
    if (container === undefined) {
      container = new WaitingContainer(request);
      this.#containers.set(request.containerId, container);
      this.event(container, 'ARRIVED');
    }
    this.failWhenGone(container, signal);
    return container;
  }

  failWhenGone(container: WaitingContainer, signal: AbortSignal): void {
    signal.addEventListener(
      'abort',
      () => {
        if (container.decided) return;
        const detail = `the engine gave the container up while it was ${container.phase}`;
        container.fail(detail);
        this.event(container, 'FAILED', { detail });
      },
      { once: true },
    );
  }

  event(container: WaitingContainer, phase: RestoreEvent['phase'], more: Partial<RestoreEvent> = {}): void {
    const { task } = container;
    if (phase !== 'FETCHING') this.#options.log.info({ restoreId: this.id, phase, task, ...more }, 'restore');
    this.#events.add({ ...more, task, ...(phase === undefined ? {} : { phase }) });
  }

  /** It is over: those who watch come to their end. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#orphaned);
    this.#events.end();
  }

  #watchOver(): void {
    clearTimeout(this.#orphaned);
    if (this.#watchers > 0 || this.#closed) return;
    this.#orphaned = setTimeout(() => {
      if (this.#watchers === 0) this.#options.onOrphaned();
    }, WATCH_GRACE_MS);
  }
}
