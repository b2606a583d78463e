import { readdir, readFile, rm } from 'node:fs/promises';
import { uptime } from 'node:os';
import { join } from 'node:path';
import type { Directories } from '../../src/model/paths.ts';
import { removeTree, unmount } from '../files/remove-tree.ts';
import { mountsOf } from '../linux/mountinfo.ts';
import { findDeadmen, isDeadman } from '../runtime/criu/deadman.ts';
import type { Containers } from '../runtime/docker/containers.ts';
import type { Expectations } from '../runtime/shim/expectations.ts';
import type { Restores } from '../restores/restores.ts';
import type { HeldTasks } from '../tasks/held-tasks.ts';
import type { Journal } from '../tasks/journal.ts';
import type { Rounds } from '../tasks/rounds.ts';
import type { Sidecars } from '../sidecars/sidecars.ts';
import type { Leftover } from './leftover.ts';

export interface FileParts {
  readonly directories: Directories;
  readonly containers: Pick<Containers, 'ids'>;
  readonly held: Pick<HeldTasks, 'holderOf'>;
  readonly journal: Pick<Journal, 'entries' | 'forget'>;
  readonly expectations: Pick<Expectations, 'isMoved'>;
  readonly sidecars: Pick<Sidecars, 'of'>;
  readonly rounds: Pick<Rounds, 'has'>;
  readonly restores: Pick<Restores, 'has'>;
}

/** Below the run directory, one entry for each container: its id, or its id and an ending. */
const BY_CONTAINER = [
  'network',
  'moved',
  'restored',
  'still',
  'released-later',
  'at-start',
  'sidecars',
  'journal',
] as const;

/** An id of a container, which every such entry begins with. */
const CONTAINER_ID = /^[0-9a-f]{64}/;

/** Everything in the run and state directories that nobody needs any more; parts apart. */
export async function filesLeft(parts: FileParts): Promise<Leftover[]> {
  // Mounts first: what they are on can be removed then.
  const found = await Promise.all([mounts(parts), endedContainers(parts), switches(parts), staged(parts)]);
  return found.flat();
}

/** What is remembered of containers that are no more, or of tasks that nobody has. */
async function endedContainers({ directories, containers, held, journal, sidecars }: FileParts): Promise<Leftover[]> {
  const names = await Promise.all(
    BY_CONTAINER.map(async (folder) =>
      (await list(join(directories.run, folder))).map((name) => ({ folder, name, id: CONTAINER_ID.exec(name)?.[0] })),
    ),
  );
  const noted = new Map((await journal.entries()).map((entry) => [entry.containerId, entry]));
  // Later than the names: what is made meanwhile is there.
  const present = await containers.ids();
  const found: Leftover[] = [];
  for (const { folder, name, id } of names.flat()) {
    if (id === undefined) continue;
    const path = join(directories.run, folder, name);
    const clear = (): Promise<void> => rm(path, { recursive: true, force: true });
    if (!present.has(id)) {
      if (folder === 'sidecars' && sidecars.of(id) !== undefined) continue;
      const kind = folder === 'journal' ? 'journal entry' : 'file';
      found.push({ kind, subject: path, detail: `container ${id.slice(0, 12)} is no more`, clear });
    } else if (folder === 'journal' && held.holderOf(id) === undefined) {
      const inUse =
        noted.get(id)?.inDoubt === true ? 'it stands still until it is known whether its successor runs' : undefined;
      found.push({
        kind: 'journal entry',
        subject: path,
        detail: 'nobody has this task',
        inUse,
        clear: () => journal.forget(id),
      });
    } else if (folder === 'still' && held.holderOf(id) === undefined && (await expired(path))) {
      found.push({ kind: 'file', subject: path, detail: 'its time is over', clear });
    }
  }
  return found;
}

async function expired(mark: string): Promise<boolean> {
  const [until = ''] = (await readFile(mark, 'utf8').catch(() => '')).split(/[ \n]/);
  return Number(until) <= uptime();
}

/** Dead man's switches of tasks that nobody has, and what they leave. */
async function switches({ directories, containers, held, expectations }: FileParts): Promise<Leftover[]> {
  const folder = join(directories.run, 'deadman');
  const names = await list(folder);
  const present = await containers.ids();
  const found: Leftover[] = [];
  for (const name of names) {
    const id = CONTAINER_ID.exec(name)?.[0];
    if (id === undefined || held.holderOf(id) !== undefined) continue;
    const subject = join(folder, name);
    const remove = (): Promise<void> => rm(subject, { force: true });
    const container = `container ${id.slice(0, 12)}`;
    if (name.endsWith('.json')) {
      const pid = Number(name.split('.').at(-2));
      const waits = await isDeadman(pid, id);
      const inUse =
        waits && present.has(id) && (name.includes('-moved') || expectations.isMoved(id))
          ? 'its task has moved away, and it ends what is left of it here'
          : undefined;
      const detail = waits ? `process ${pid} waits for ${container}` : `its process is gone (${container})`;
      const clear = async (): Promise<void> => {
        const all = waits ? await findDeadmen(directories.run) : [];
        for (const one of all) if (name.startsWith(`${one.containerId}.`)) await one.cancel();
        await remove();
      };
      found.push({ kind: "dead man's switch", subject, detail, inUse, clear });
    } else if (!names.some((other) => other.startsWith(id) && other.endsWith('.json'))) {
      found.push({ kind: "dead man's switch", subject, detail: `of ${container}, which it has let go`, clear: remove });
    }
  }
  return found;
}

/** Dumps and files of rounds and restores that are over. */
async function staged({ directories, rounds, restores }: FileParts): Promise<Leftover[]> {
  const found: Leftover[] = [];
  for (const base of [directories.run, directories.state])
    for (const [folder, owner] of [
      ['stage', rounds],
      ['restore', restores],
    ] as const)
      for (const name of await list(join(base, folder))) {
        // A stage is one task's: its key follows.
        const id = name.split('.')[0] ?? '';
        if (owner.has(id)) continue;
        const subject = join(base, folder, name);
        const detail = `${folder === 'stage' ? 'round' : 'restore'} ${id} is over`;
        found.push({ kind: 'stage', subject, detail, clear: () => removeTree(subject) });
      }
  return found;
}

/** We make none in the node's own namespace: one in our folders is somebody's mistake, and would keep them from being removed. */
async function mounts({ directories }: FileParts): Promise<Leftover[]> {
  const folders = [directories.run, directories.state].flatMap((base) =>
    ['stage', 'restore', 'parts', 'sidecars'].map((name) => `${join(base, name)}/`),
  );
  return (await mountsOf('self'))
    .filter(({ mountPoint }) => folders.some((folder) => mountPoint.startsWith(folder)))
    .map(({ mountPoint, fsType }): Leftover => {
      const clear = (): Promise<void> => unmount(mountPoint);
      return { kind: 'mount', subject: mountPoint, detail: `a file system of type ${fsType}`, clear };
    });
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
