import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { FollowingDump } from '../../../agent/checkpoints/following-dump.ts';
import { CriuHost } from './criu-host.ts';

let host: CriuHost;
beforeAll(async () => {
  host = await CriuHost.start();
}, 1_200_000);
afterAll(() => host.close());

const MEGABYTES = 120;

/** Two processes with memory of their own, and some that they share. */
const PROGRAM = `
import mmap, os, time
shared = mmap.mmap(-1, 8 << 20); shared.write(os.urandom(8 << 20))
own = bytearray(os.urandom(${MEGABYTES} << 20))
if os.fork() == 0: own[::4096] = b'x' * len(own[::4096])
print('ready', flush=True)
while True: time.sleep(1)
`;

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(file)) hash.update(bytes as Buffer);
  return hash.digest('hex');
}

test('the hashes that are made while CRIU writes are those of what it has written', async () => {
  const container = await host.container('big', ['python3', '-uc', PROGRAM]);
  await container.start();
  await vi.waitFor(() => expect(container.lines.filter((line) => line === 'ready')).toHaveLength(2), 30_000);
  const [imagePath, workPath] = [join(container.bundle, 'criu'), join(container.bundle, 'dump')];
  for (const dir of [imagePath, workPath]) mkdirSync(dir);
  using following = new FollowingDump(imagePath);
  await host.runc.checkpoint(container.id, { imagePath, workPath });
  const followed = await following.ended();
  // Small ones are read again in no time.
  const big = readdirSync(imagePath).filter(
    (name) => name.startsWith('pages-') && statSync(join(imagePath, name)).size > 32 * 1024 * 1024,
  );
  expect(big).toHaveLength(2);
  expect([...followed.keys()]).toEqual(expect.arrayContaining(big));
  for (const [name, { sha256: hashed }] of followed) expect(await hashed).toBe(await sha256(join(imagePath, name)));
});
