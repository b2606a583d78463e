import { taskKey } from '../../src/model/task.ts';
import { messageOf } from '../../src/model/errors.ts';
import type { NetworkView } from '../../src/rpc/control/network-view.ts';
import type { NetworkViewWatch } from './sidecars.ts';
import type { TaskSidecar } from './task-sidecar.ts';

/** What finds out about a stack's networks (discovery.ts). */
export interface NetworkViewSource {
  /** Calls back with the view of the stack's networks, soon and at every change. @returns what ends that */
  watch(stack: string, networks: readonly string[], changed: (view: NetworkView) => void): () => void;
  close(): void;
}

export interface NetworkViewsOptions {
  readonly source?: NetworkViewSource;
  readonly log: { debug(details: object, message: string): void };
}

/** Tells each sidecar of the view of its stack's networks; one that takes its predecessor's place is told again. */
export class NetworkViews implements NetworkViewWatch {
  readonly #options: NetworkViewsOptions;
  readonly #watched = new Map<TaskSidecar, { view: NetworkView | undefined; readonly end: () => void }>();

  constructor(options: NetworkViewsOptions) {
    this.#options = options;
  }

  add(sidecar: TaskSidecar): void {
    const known = this.#watched.get(sidecar);
    if (known !== undefined) {
      if (known.view !== undefined) this.#tell(sidecar, known.view);
      return;
    }
    const watched: { view: NetworkView | undefined; end: () => void } = { view: undefined, end: () => undefined };
    this.#watched.set(sidecar, watched);
    watched.end =
      this.#options.source?.watch(sidecar.stack, sidecar.networks, (view) => {
        watched.view = view;
        this.#tell(sidecar, view);
      }) ?? watched.end;
  }

  remove(sidecar: TaskSidecar): void {
    this.#watched.get(sidecar)?.end();
    this.#watched.delete(sidecar);
  }

  close(): void {
    for (const sidecar of [...this.#watched.keys()]) this.remove(sidecar);
    this.#options.source?.close();
  }

  /** One that is just dying is told again by `add` when another one is there. */
  #tell(sidecar: TaskSidecar, view: NetworkView): void {
    sidecar.call('networkView', view).catch((error: unknown) => {
      this.#options.log.debug({ task: taskKey(sidecar.task), reason: messageOf(error) }, 'a sidecar was not told');
    });
  }
}
