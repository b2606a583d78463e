import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { writeCriuConfig } from '../../../agent/runtime/criu/config.ts';
import { CriuHost } from './criu-host.ts';

let host: CriuHost;
beforeAll(async () => {
  host = await CriuHost.start();
}, 1_200_000);
afterAll(() => host.close());

/** Two processes of another user than root, each of which shows who it is and what it may; the child under an umask of its own. */
const PROGRAM = `
import os, resource, time
os.umask(0o037); n = 0; child = os.fork() == 0
if child: os.umask(0o027)
def status(name): return next(l.split(None, 1)[1].strip() for l in open('/proc/self/status') if l.startswith(name))
while True:
  n += 1
  who = [os.getresuid(), os.getresgid(), sorted(os.getgroups()), status('CapEff'), status('CapBnd'), status('Umask'), status('NoNewPrivs')]
  limits = [resource.getrlimit(one) for one in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC, resource.RLIMIT_STACK)]
  print('child' if child else 'parent', n, who, limits, flush=True); time.sleep(0.1)`;

it('processes of another user are restored with their user, groups, capabilities, limits and umask', async () => {
  const make = (id: string) =>
    host.container(id, ['python3', '-c', PROGRAM], ({ process }) => {
      process.user = { uid: 1234, gid: 1235, additionalGids: [44, 1300] };
      process.capabilities = { bounding: ['CAP_CHOWN'], effective: [], permitted: [], inheritable: [] };
      process.rlimits = [
        { type: 'RLIMIT_NOFILE', soft: 200, hard: 300 },
        { type: 'RLIMIT_CORE', soft: 0, hard: 4096 },
        { type: 'RLIMIT_NPROC', soft: 50, hard: 60 },
      ];
    });
  /** What a process shows, without its count; undefined before it has shown anything. */
  const shown = (lines: readonly string[], who: string): string | undefined =>
    lines.findLast((line) => line.startsWith(who))?.replace(/^\w+ \d+ /, '');
  const both = async ({ lines }: { readonly lines: readonly string[] }) => {
    const seen = { parent: shown(lines, 'parent'), child: shown(lines, 'child') };
    expect(seen.parent).toBeDefined();
    expect(seen.child).toBeDefined();
    return Promise.resolve(seen);
  };

  const old = await make('users-old');
  await old.start();
  const before = await vi.waitFor(() => both(old), { timeout: 20_000 });
  expect(before.parent).toBe(
    "[(1234, 1234, 1234), (1235, 1235, 1235), [44, 1300], '0000000000000000', '0000000000000001', '0037', '1'] " +
      '[(200, 300), (0, 4096), (50, 60), (8388608, -1)]',
  );
  await host.runc.pause(old.id);
  const dir = join(host.dir, 'users-saved');
  await host.runc.checkpoint(old.id, { imagePath: join(dir, 'criu'), workPath: join(dir, 'work') });
  await old.remove();

  const copy = await make('users-copy');
  const config = join(dir, 'work/restore.conf');
  await writeCriuConfig(config);
  await copy.restore(join(dir, 'criu'), config);
  expect(await vi.waitFor(() => both(copy), { timeout: 20_000 })).toEqual(before);
  await copy.remove();
});
