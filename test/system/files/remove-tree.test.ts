import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeTree } from '../../../agent/files/remove-tree.ts';
import { mountsOf } from '../../../agent/linux/mountinfo.ts';

let base: string;
beforeEach(() => void (base = mkdtempSync(join(tmpdir(), 'swarmcut-remove-'))));
afterEach(async () => {
  for (const { mountPoint } of await mountsOf('self'))
    if (mountPoint.startsWith(base)) await execa('umount', ['-l', mountPoint]);
  rmSync(base, { recursive: true, force: true });
});

const mounted = async (): Promise<string[]> =>
  (await mountsOf('self')).map(({ mountPoint }) => mountPoint).filter((point) => point.startsWith(base));

it('unmounts what is mounted in a folder, one over the other, and removes nothing of it', async () => {
  const [folder, kept] = [join(base, 'work'), join(base, 'kept')];
  const yard = join(folder, 'c1', '.criu.cgyard.abc');
  mkdirSync(join(kept, 'group'), { recursive: true });
  writeFileSync(join(kept, 'group', 'file'), '');
  mkdirSync(yard, { recursive: true });
  await execa('mount', ['-t', 'tmpfs', 'none', yard]);
  mkdirSync(join(yard, 'memory'));
  await execa('mount', ['--bind', kept, join(yard, 'memory')]);
  await removeTree(folder);
  expect(existsSync(folder)).toBe(false);
  expect(readdirSync(join(kept, 'group'))).toEqual(['file']);
  expect(await mounted()).toEqual([]);
  await removeTree(folder);
});

it('says what it could not remove, after it has tried for a while', async () => {
  const folder = join(base, 'folder');
  mkdirSync(folder);
  // Another mount on the folder itself is not its own to undo.
  await execa('mount', ['-t', 'tmpfs', 'none', folder]);
  await expect(removeTree(folder, 200)).rejects.toMatchObject({
    code: 'failed',
    message: expect.stringMatching(/folder cannot be removed: /) as string,
  });
});
