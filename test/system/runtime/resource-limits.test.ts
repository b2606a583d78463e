import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { writeCriuConfig } from '../../../agent/runtime/criu/config.ts';
import { CriuHost, type TestSpec } from './criu-host.ts';

let host: CriuHost;
beforeAll(async () => {
  host = await CriuHost.start();
}, 1_200_000);
afterAll(() => host.close());

/** Of the container, where version 1 or 2 has it. */
const HEAD = `
import os, time
def read(*names):
  for name in names:
    try: return open('/sys/fs/cgroup/' + name).read().strip()
    except OSError: pass
n = 0; kept = []
def limits(): return [read('memory/memory.limit_in_bytes', 'memory.max'), read('pids/pids.max', 'pids.max'), read('cpu/cpu.cfs_quota_us', 'cpu.max')]
`;

const MIB = 1024 ** 2;

it.each<[string, string, object]>([
  [
    'processes',
    `
while True:
  try: pid = os.fork()
  except OSError: break
  if pid == 0:
    while True: time.sleep(1)
  kept.append(pid)
while True: n += 1; print(n, len(kept), limits(), flush=True); time.sleep(0.05)`,
    { pids: { limit: 6 } },
  ],
  [
    'memory',
    `
used = lambda: int(read('memory/memory.usage_in_bytes', 'memory.current'))
while used() < int(limits()[0]) - 200000: kept.append(os.urandom(65536))
while True: n += 1; print(n, sum(one[5] for one in kept), limits(), flush=True); time.sleep(0.05)`,
    // As the engine writes it.
    { memory: { limit: 40 * MIB, swap: 80 * MIB, disableOOMKiller: false }, cpu: {}, blockIO: {} },
  ],
  [
    'processors',
    `
while True: n += 1; print(n, limits(), flush=True); time.sleep(0.05)`,
    { cpu: { shares: 512, quota: 5_000, period: 100_000 } },
  ],
])('a task that is at the limit of its %s is restored, under the same limit', async (name, program, resources) => {
  const change = ({ linux }: TestSpec): void => {
    linux.resources = { ...linux.resources, ...resources };
  };
  const make = (id: string) => host.container(id, ['python3', '-c', HEAD + program], change);
  const old = await make(`${name}-old`);
  await old.start();
  await vi.waitFor(() => expect(old.lines.length).toBeGreaterThan(2), { timeout: 30_000 });
  await host.runc.pause(old.id);
  const dir = join(host.dir, `${name}-saved`);
  await host.runc.checkpoint(old.id, { imagePath: join(dir, 'criu'), workPath: join(dir, 'work') });
  const last = old.lines.at(-1) ?? '';
  await old.remove();

  const copy = await make(`${name}-copy`);
  const config = join(dir, 'work/restore.conf');
  await writeCriuConfig(config);
  await copy.restore(join(dir, 'criu'), config);
  const count = copy.lines.length;
  await vi.waitFor(() => expect(copy.lines.length).toBeGreaterThan(count + 2), { timeout: 30_000 });
  const withoutNumber = (line = ''): string => line.replace(/^\d+ /, '');
  expect(withoutNumber(copy.lines.at(-1))).toBe(withoutNumber(last));
  await copy.remove();
});
