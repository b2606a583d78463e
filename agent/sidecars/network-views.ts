import { taskKey } from '../../src/model/task.ts';
import { messageOf } from '../../src/model/errors.ts';
import type { World } from '../../src/rpc/control/network-view.ts';
import type { WorldWatch } from './sidecars.ts';
import type { TaskSidecar } from './task-sidecar.ts';

/** What finds out about a stack's networks (discovery.ts). */
export interface WorldSource {
  /** Calls back with the stack's world, soon and at every change. @returns what ends that */
  watch(stack: string, networks: readonly string[], changed: (world: World) => void): () => void;
  close(): void;
}

export interface WorldsOptions {
  readonly source?: WorldSource;
  readonly log: { debug(details: object, message: string): void };
}

/** Tells each sidecar of its stack's world; one that takes its predecessor's place is told again. */
export class Worlds implements WorldWatch {
  readonly #options: WorldsOptions;
  readonly #watched = new Map<TaskSidecar, { world: World | undefined; readonly end: () => void }>();

  constructor(options: WorldsOptions) {
    this.#options = options;
  }

  add(sidecar: TaskSidecar): void {
    const known = this.#watched.get(sidecar);
    if (known !== undefined) {
      if (known.world !== undefined) this.#tell(sidecar, known.world);
      return;
    }
    const watched: { world: World | undefined; end: () => void } = { world: undefined, end: () => undefined };
    this.#watched.set(sidecar, watched);
    watched.end =
      this.#options.source?.watch(sidecar.stack, sidecar.networks, (world) => {
        watched.world = world;
        this.#tell(sidecar, world);
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
  #tell(sidecar: TaskSidecar, world: World): void {
    sidecar.call('world', world).catch((error: unknown) => {
      this.#options.log.debug({ task: taskKey(sidecar.task), reason: messageOf(error) }, 'a sidecar was not told');
    });
  }
}
