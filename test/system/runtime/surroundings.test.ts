import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { saveLinkRemaps } from '../../../agent/files/link-remaps.ts';
import { saveFiles } from '../../../agent/files/save.ts';
import { unpackFiles } from '../../../agent/files/unpack.ts';
import { writeCriuConfig } from '../../../agent/runtime/criu/config.ts';
import { writeSurroundings } from '../../../agent/surroundings/record.ts';
import { applySurroundings } from '../../../agent/surroundings/restore.ts';
import { surroundingsOf, withSettings } from '../../../agent/surroundings/save.ts';
import { CriuHost, type BundleChange, type Container } from './criu-host.ts';

let host: CriuHost;
beforeAll(async () => {
  host = await CriuHost.start();
}, 1_200_000);
afterAll(() => host.close());

/** Shows its surroundings again and again, one JSON object a line. */
function program(body: string): string[] {
  return ['python3', '-c', `import glob, json, os, socket, sys, time\n${body.trim()}`];
}

async function shown(container: Container): Promise<Record<string, unknown>> {
  const seen = container.lines.length;
  await vi.waitFor(() => expect(container.lines.length).toBeGreaterThan(seen + 1), { timeout: 20_000, interval: 50 });
  return JSON.parse(container.lines.at(-1) ?? '') as Record<string, unknown>;
}

/** Saves a container as an agent does, and ends it. */
async function saved(container: Container, name: string) {
  const facts = await container.facts();
  const dir = join(host.dir, name);
  const criuDir = join(dir, 'criu');
  const workDir = join(dir, 'work');
  const task = { id: container.id, pid: facts.pid, imageDigest: 'sha256:1' };
  const surroundings = await surroundingsOf(task, host.path(`/run/runc/${container.id}/state.json`));
  await host.runc.pause(container.id);
  await host.runc.checkpoint(container.id, { imagePath: criuDir, workPath: workDir });
  await writeSurroundings(criuDir, await withSettings(facts.pid, surroundings));
  const files = await saveFiles(facts, join(dir, 'files'));
  const { parts } = await saveLinkRemaps(facts, criuDir, join(dir, 'files'), files);
  await host.runc.kill(container.id, 'KILL');
  await container.remove();
  return { criuDir, workDir, parts };
}

/** Restores it in another container. */
async function copyOf(
  what: Awaited<ReturnType<typeof saved>>,
  id: string,
  args: readonly string[],
  change?: BundleChange,
): Promise<Container> {
  const copy = await host.container(id, args, change);
  const target = { rootfs: host.path(copy.rootfs), volumes: [], shmSource: undefined };
  await unpackFiles(what.parts, target, { restoreId: 'r', workDir: what.workDir });
  const config = join(what.workDir, 'restore.conf');
  await writeCriuConfig(config);
  await copy.restore(what.criuDir, config, [], async () => applySurroundings(await copy.pid(), what.criuDir));
  return copy;
}

/** What an engine gives a container: its files, a mount whose source is a symbolic link, settings and limits. */
function engineOf(name: string, address: string): BundleChange {
  const dir = join(host.dir, `engine-${name}`);
  mkdirSync(dir);
  writeFileSync(join(dir, 'hosts'), `127.0.0.1\tlocalhost\n${address}\t${name}\n`);
  writeFileSync(join(dir, 'hostname'), `${name}\n`);
  writeFileSync(join(dir, 'resolv.conf'), `nameserver 127.0.0.11\nsearch ${name}.example\n`);
  writeFileSync(join(dir, 'tool'), 'tool');
  symlinkSync('tool', join(dir, 'link'));
  return (spec) => {
    spec.hostname = name;
    const bind = { type: 'bind', options: ['rbind', 'rprivate'] };
    for (const file of ['hosts', 'hostname', 'resolv.conf'])
      spec.mounts.push({ destination: `/etc/${file}`, source: join(dir, file), ...bind });
    spec.mounts.push({ destination: '/sbin/tool', source: join(dir, 'link'), ...bind });
    spec.linux.sysctl = { 'net.core.somaxconn': '777', 'net.ipv4.ip_unprivileged_port_start': '0' };
    spec.linux.resources = { memory: { limit: 300 * 1024 ** 2 } };
  };
}

it('a task finds what it lived in: settings, limits, host name and the files of the engine, open ones too', async () => {
  const args = program(`
held = open('/etc/hosts'); resolver = open('/etc/resolv.conf')
def read(path):
  try: return open(path).read().strip()
  except OSError as e: return str(e)
def own():
  try: return socket.gethostbyname(socket.gethostname())
  except OSError as e: return str(e)
while True:
  held.seek(0)
  print(json.dumps({
    'somaxconn': read('/proc/sys/net/core/somaxconn'), 'low': read('/proc/sys/net/ipv4/ip_unprivileged_port_start'),
    'keepalive': read('/proc/sys/net/ipv4/tcp_keepalive_time'), 'ports': read('/proc/sys/net/ipv4/ip_local_port_range'),
    'memory': [read(f) for f in ['/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/memory.max'] if os.path.exists(f)],
    'name': socket.gethostname(), 'address': own(), 'held': held.read(),
    'hostname': read('/etc/hostname'), 'resolver': read('/etc/resolv.conf'), 'tool': read('/sbin/tool')}), flush=True)
  time.sleep(0.05)`);
  const old = await host.container('around-old', args, engineOf('first', '10.9.0.7'));
  await old.start();
  // Somebody with the right to has changed them since.
  await old.inNetwork(['sh', '-c', 'echo 999 >/proc/sys/net/ipv4/tcp_keepalive_time']);
  await old.inNetwork(['sh', '-c', 'echo 500 900 >/proc/sys/net/ipv4/ip_local_port_range']);
  const before = await shown(old);
  expect(before).toMatchObject({ somaxconn: '777', keepalive: '999', memory: [String(300 * 1024 ** 2)], tool: 'tool' });
  const what = await saved(old, 'around');

  const copy = await copyOf(what, 'around-copy', args, engineOf('second', '10.9.0.123'));
  // As the engine does between `create` and `start`.
  writeFileSync(join(host.dir, 'engine-second/hosts'), '127.0.0.1\tlocalhost\n10.9.0.123\tsecond\n');
  await host.exec(['sh', join(copy.bundle, 'at-start/start.sh')]);
  // Some programs look up their own name all the time: this one may have done so in between.
  await shown(copy);
  expect(await shown(copy)).toEqual({
    ...before,
    // The one thing that is the new container's: where it is.
    address: '10.9.0.123',
    held: '127.0.0.1\tlocalhost\n10.9.0.123\tfirst\n',
  });
});

it('a semaphore of glibc, which lives by its mapping alone, is shared again', async () => {
  const args = program(`
import _multiprocessing
n = 0
semaphore = _multiprocessing.SemLock(1, 0, 100, '/sem-of-test', False)
child = os.fork()
if child == 0:
  while True: semaphore.acquire(); n += 1; print(json.dumps({'taken': n}), flush=True)
while True: semaphore.release(); time.sleep(0.1)`);
  const old = await host.container('sem-old', args);
  await old.start();
  const { taken } = await shown(old);
  const what = await saved(old, 'sem');
  const last = (JSON.parse(old.lines.at(-1) ?? '') as { taken: number }).taken;
  expect(last).toBeGreaterThanOrEqual(Number(taken));
  const copy = await copyOf(what, 'sem-copy', args);
  expect((await shown(copy)).taken).toBeGreaterThan(last);
});

it('threads and sockets keep what they have set for themselves, and connections inherit it', async () => {
  const args = program(`
import ctypes, threading
libc = ctypes.CDLL(None)
l = socket.create_server(('127.0.0.1', 5000))
for option, value in ((18, 4321), (9, 7), (25, 65536), (7, 3), (13, b'reno')): l.setsockopt(6, option, value)
def settings():
  return [sorted(os.sched_getaffinity(0)), libc.prctl(30, 0, 0, 0, 0), libc.syscall(252, 1, 0), open('/proc/self/coredump_filter').read().strip()]
worker = []
def work():
  os.sched_setaffinity(0, {1}); libc.prctl(29, 1234000, 0, 0, 0)
  while True: worker[:] = settings(); time.sleep(0.02)
threading.Thread(target=work, daemon=True).start()
open('/proc/self/coredump_filter', 'w').write('0x7f'); libc.syscall(251, 1, 0, 0x4007)
while True:
  c = socket.create_connection(('127.0.0.1', 5000)); c.sendall(b'x'); s, _ = l.accept()
  def options(of): return [of.getsockopt(6, o) for o in (18, 9, 25, 7)] + [of.getsockopt(6, 13, 16).rstrip(b'\\0').decode()]
  print(json.dumps({'listener': options(l), 'accepted': options(s), 'main': settings(), 'worker': worker}), flush=True)
  c.close(); s.close(); time.sleep(0.05)`);
  const old = await host.container('own-old', args);
  await old.start();
  await shown(old);
  const before = await shown(old);
  const what = await saved(old, 'own');
  const copy = await copyOf(what, 'own-copy', args);
  await shown(copy);
  expect(await shown(copy)).toEqual(before);
});
