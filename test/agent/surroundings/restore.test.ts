import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestGiven } from '../../../agent/surroundings/given.ts';
import { writeSurroundings } from '../../../agent/surroundings/record.ts';
import { refuseOtherSurroundings } from '../../../agent/surroundings/restore.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'surroundings-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A container as an engine keeps it, with this in its secret. */
function container(id: string, secret: string) {
  const own = join(dir, 'containers', id, 'mounts/secrets');
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'x'), secret);
  const mounts = [
    { destination: '/run/secrets/password', source: join(own, 'x') },
    { destination: '/srv', source: '/srv' },
  ];
  const bundle = join(dir, `bundle-${id}`);
  mkdirSync(bundle);
  writeFileSync(join(bundle, 'config.json'), JSON.stringify({ mounts }));
  return { bundle, mounts };
}

async function checkpoint(image: string, secret: string): Promise<string> {
  const { mounts } = container('old', secret);
  const given = await digestGiven('old', mounts, 'salt');
  expect(Object.keys(given)).toEqual(['/run/secrets/password']);
  const empty = { sysctls: {}, engineFiles: {}, threads: [], sockets: [] };
  await writeSurroundings(dir, { version: 1, image, given, salt: 'salt', ...empty });
  return dir;
}

describe('a container that is to be restored', () => {
  it.each([
    ['has the same image and secret: it is', 'sha256:aa', 'hush', undefined],
    [
      'has a secret with other contents: refused, by name',
      'sha256:aa',
      'other',
      'has other contents in the secret or config /run/secrets/password',
    ],
    ['has another image: refused', 'sha256:bb', 'hush', 'has another image (bb) than the saved one had (aa)'],
  ])('%s', async (_what, imageDigest, secret, message) => {
    const imageDir = await checkpoint('sha256:aa', 'hush');
    const { bundle } = container('new', secret);
    const refused = refuseOtherSurroundings({ bundle, imageDir, containerId: 'new', imageDigest });
    if (message === undefined) await expect(refused).resolves.toBeUndefined();
    else
      await expect(refused).rejects.toMatchObject({
        code: 'precondition',
        message: expect.stringContaining(message) as string,
      });
  });

  it('was saved by a version that recorded nothing: it is not refused', async () => {
    const { bundle } = container('new', 'any');
    await refuseOtherSurroundings({ bundle, imageDir: dir, containerId: 'new', imageDigest: 'sha256:bb' });
  });
});
