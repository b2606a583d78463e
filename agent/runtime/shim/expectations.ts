import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PROXY_ALGORITHMS } from '../../../src/algorithms/index.ts';
import type { Directories } from '../../../src/model/paths.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';

/** What shim.sh must know, written to `<run>/shim.conf`. All paths are absolute. */
export interface ShimSettings {
  /** The real runc; looked for in the usual places if not given. */
  readonly runc?: string;
  /** Node's binary. Default: the one that runs now. */
  readonly node?: string;
  /** The agent's `main.js`. */
  readonly main: string;
  /** The engine's data directory (`docker info`: DockerRootDir). */
  readonly dataRoot: string;
}

/** A restore that expects containers. */
export interface ExpectingRestore {
  readonly restoreId: string;
  readonly stack: string;
}

/** Where shim.sh looks for runc, in this order, unless $SWARMCUT_RUNC is set. */
const RUNC_PATHS = ['/usr/sbin/runc', '/usr/bin/runc', '/usr/local/sbin/runc', '/usr/local/bin/runc'] as const;

/** The real runc. @throws SwarmcutError `precondition` when there is none. */
function findRunc(env: NodeJS.ProcessEnv = process.env): string {
  for (const path of [env.SWARMCUT_RUNC ?? '', ...RUNC_PATHS]) {
    if (path === '') continue;
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  }
  throw new SwarmcutError('precondition', `runc was not found at any of ${RUNC_PATHS.join(', ')}`, {
    advice: 'Install runc, or set SWARMCUT_RUNC to its path for both the engine and the agent.',
  });
}

/**
 * The marks through which the agent tells the shim what to do. Plain files, because the shim must look at them without starting
 * anything. All calls are synchronous and take effect before they return; the folder is in memory.
 */
export class Expectations {
  readonly #run: string;

  constructor(directories: Pick<Directories, 'run'>) {
    this.#run = directories.run;
  }

  /**
   * To be called when an agent starts: makes the folders and writes `shim.conf`. What an agent before it expected stays expected until the
   * coordinator says otherwise, and so do marks of containers (moved, restored).
   */
  open(settings: ShimSettings): void {
    for (const folder of ['', 'expect', 'moved', 'restored']) {
      mkdirSync(join(this.#run, folder), { recursive: true, mode: 0o700 });
      chmodSync(join(this.#run, folder), 0o700);
    }
    const lines = {
      runc: settings.runc ?? findRunc(),
      node: settings.node ?? process.execPath,
      main: settings.main,
      data_root: settings.dataRoot,
      // Containers that declare one of these get a sidecar before they start.
      sidecar_algorithms: PROXY_ALGORITHMS.join(' '),
    };
    const text = Object.entries(lines).map(([name, value]) => `${name}=${quoted(value)}\n`);
    // The shim may read it at any moment: never half written.
    const temporary = join(this.#run, `.shim.conf.${process.pid}`);
    writeFileSync(temporary, text.join(''), { mode: 0o600 });
    renameSync(temporary, join(this.#run, 'shim.conf'));
  }

  /**
   * From now on, containers of these services wait in the shim; on disk, so that a restarted agent knows it. Repeated: no effect.
   * @throws SwarmcutError `conflict` when another restore expects one of them; then none is added
   */
  add(restoreId: string, stack: string, services: readonly string[]): void {
    for (const service of services) {
      const other = this.expectedBy(service);
      if (other !== undefined && other !== restoreId) {
        throw new SwarmcutError('conflict', `service ${service} is already being restored (restore ${other})`, {
          where: { service },
          advice: 'Wait for it to end, or abort it.',
        });
      }
    }
    for (const service of services) this.#write('expect', service, `${restoreId} ${stack}`);
  }

  /** Withdraws everything that this restore expected. Unknown ids are no error. */
  remove(restoreId: string): void {
    for (const [service, owner] of this.list()) if (owner.restoreId === restoreId) this.#delete('expect', service);
  }

  /** The restore that expects containers of this service. */
  expectedBy(service: string): string | undefined {
    const path = this.#path('expect', service);
    return existsSync(path) ? readOwner(path).restoreId : undefined;
  }

  /** Service names and the restores that expect them. */
  list(): Map<string, ExpectingRestore> {
    const folder = join(this.#run, 'expect');
    if (!existsSync(folder)) return new Map();
    return new Map(readdirSync(folder).map((service) => [service, readOwner(join(folder, service))]));
  }

  /** Every restore that expects containers, once. */
  restores(): ExpectingRestore[] {
    return [...new Map([...this.list().values()].map((restore) => [restore.restoreId, restore])).values()];
  }

  /** The task of this container goes on elsewhere: the engine's next `kill` of any signal ends what is here at once. */
  markMoved(containerId: string): void {
    this.#write('moved', containerId, '');
  }

  unmarkMoved(containerId: string): void {
    this.#delete('moved', containerId);
  }

  isMoved(containerId: string): boolean {
    return existsSync(this.#path('moved', containerId));
  }

  /** The container runs already: the engine's `start` has nothing to do. `agent shim` sets this itself. */
  markRestored(containerId: string): void {
    this.#write('restored', containerId, '');
  }

  isRestored(containerId: string): boolean {
    return existsSync(this.#path('restored', containerId));
  }

  /** Forgets the marks of containers that are no more (the engine deletes through the shim, but the shim may not have been in place). */
  prune(present: ReadonlySet<string>): void {
    for (const kind of ['moved', 'restored'] as const) {
      const folder = join(this.#run, kind);
      if (!existsSync(folder)) continue;
      for (const id of readdirSync(folder)) if (!present.has(id)) this.#delete(kind, id);
    }
  }

  #path(kind: 'expect' | 'moved' | 'restored', name: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) {
      throw new SwarmcutError('usage', `"${name}" is not a name of a ${kind === 'expect' ? 'service' : 'container'}`);
    }
    return join(this.#run, kind, name);
  }

  #write(kind: 'expect' | 'moved' | 'restored', name: string, text: string): void {
    mkdirSync(join(this.#run, kind), { recursive: true, mode: 0o700 });
    writeFileSync(this.#path(kind, name), text, { mode: 0o600 });
  }

  #delete(kind: 'expect' | 'moved' | 'restored', name: string): void {
    rmSync(this.#path(kind, name), { force: true });
  }
}

function readOwner(path: string): ExpectingRestore {
  const [restoreId = '', stack = ''] = readFileSync(path, 'utf8').split(' ');
  return { restoreId, stack };
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
