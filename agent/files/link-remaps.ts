import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SwarmcutError } from '../../src/model/errors.ts';
import { decodeLinkRemaps, type LinkRemap } from '../../src/formats/criu-remaps.ts';
import { exists } from '../../src/platform/files.ts';
import { runProcess } from '../../src/platform/processes.ts';
import { mappedFiles, openFiles, processTree } from '../linux/process-tree.ts';
import { saveFiles, type FilesOf, type SavedFiles } from './save.ts';

/**
 * Saves what CRIU's `link-remap` needs at the restore. A file that is open under a name that was deleted, but has another name left,
 * cannot be carried in the image; CRIU gives it a name of its own, which it wants to find again at the restore, but takes it away at
 * the end of the dump. So that name is made once more, and the files are saved again with it.
 *
 * Must be called after the dump, while the container is still frozen. Costs nothing for containers that have no such file.
 * @param saved what was saved beside the dump; answered as it is in the usual case
 * @throws SwarmcutError `failed`, `damaged`
 */
export async function saveLinkRemaps(
  facts: FilesOf,
  imageDir: string,
  targetDir: string,
  saved: SavedFiles,
  options: { readonly signal?: AbortSignal } = {},
): Promise<SavedFiles> {
  const remaps = await readRemaps(imageDir);
  if (remaps.length === 0) return saved;
  const pids = await processTree(facts.pid);
  const open = (await openFiles(pids)).map(({ pid, fd, target }) => ({ path: `/proc/${pid}/fd/${fd}`, target }));
  // glibc's sem_open keeps no descriptor.
  const files = [...open, ...(await mappedFiles(pids))];
  const made: string[] = [];
  try {
    for (const remap of remaps) {
      const isIt = ({ target }: { readonly target: string }): boolean => target === `/${remap.name} (deleted)`;
      const file = files.find(isIt);
      if (file === undefined) {
        throw new SwarmcutError(
          'failed',
          `/${remap.name} was deleted and is in use, but no process has it open or mapped`,
          {
            advice: 'it may have been closed at this moment: try again',
          },
        );
      }
      const link = join(`/proc/${facts.pid}/root`, remap.link);
      // Follows the link in /proc to the open file itself; Node has no call for it.
      await runProcess(['ln', '--logical', '--', file.path, link]);
      made.push(link);
    }
    return await saveFiles(facts, targetDir, { ...options, withCriuLinks: true });
  } finally {
    for (const link of made) await rm(link, { force: true });
  }
}

async function readRemaps(imageDir: string): Promise<LinkRemap[]> {
  const remapFile = join(imageDir, 'remap-fpath.img');
  if (!(await exists(remapFile))) return [];
  const files = new Map([
    ['remap-fpath.img', await readFile(remapFile)],
    ['files.img', await readFile(join(imageDir, 'files.img'))],
  ]);
  return decodeLinkRemaps(files);
}
