import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writeCriuConfig } from '../../../agent/runtime/criu/config.ts';
import { watchedPaths } from '../../../agent/linux/inotify.ts';
import { Spawns } from '../../../agent/linux/spawns.ts';
import { readDump } from '../../../agent/runtime/criu/read-dump.ts';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { unpackFiles } from '../../../agent/files/unpack.ts';
import { saveLinkRemaps } from '../../../agent/files/link-remaps.ts';
import { saveFiles } from '../../../agent/files/save.ts';
import { pause } from '../../../src/platform/deadlines.ts';
import { CriuHost, type Container } from './criu-host.ts';

let host: CriuHost;
beforeAll(async () => {
  host = await CriuHost.start();
}, 1_200_000);
afterAll(() => host.close());

/** Each counts in lines that begin with a number, one higher each time, and shows what it has besides. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  'several processes and a pipe': [
    'sh',
    '-c',
    '(i=0; while :; do i=$((i+1)); echo $i piped; sleep 0.05; done) | sed -u s/piped/through/',
  ],
  threads: python(`
import threading
lock = threading.Lock(); turn = [0]
def work(me):
  global n
  while True:
    with lock:
      if turn[0] == me: turn[0] = (me + 1) % 3; n += 1; show('thread')
    time.sleep(0.01)
for me in range(3): threading.Thread(target=work, args=(me,)).start()
threading.Event().wait()`),
  'node with a worker': [
    'node',
    '-e',
    `const { Worker } = require('worker_threads');
     new Worker("let n = 0; setInterval(() => require('worker_threads').parentPort.postMessage(++n), 50)", { eval: true })
       .on('message', (n) => console.log(n, 'worker'));
     require('http').createServer(() => {}).listen(80);`,
  ],
  'files that were deleted while open': python(`
g = open('/tmp/g', 'w+'); g.write('ghost'); g.flush(); os.unlink('/tmp/g')
h = open('/tmp/h1', 'w+'); h.write('linked'); h.flush(); os.link('/tmp/h1', '/tmp/h2'); os.unlink('/tmp/h1')
big = open('/var/big', 'wb+'); big.write(b'x' * (20 << 20)); big.flush(); os.unlink('/var/big')
while True:
  for f in (g, h, big): f.seek(0)
  n += 1; show(g.read(), h.read(), len(big.read()), sorted(os.listdir('/tmp'))); time.sleep(0.05)`),
  'unix sockets with data in flight': python(`
l = socket.socket(socket.AF_UNIX); l.bind('/run/s.sock'); l.listen()
x = socket.socket(socket.AF_UNIX); x.bind('\\0abstract'); x.listen()
if os.fork() == 0:
  c = socket.socket(socket.AF_UNIX); c.connect('/run/s.sock')
  while True:
    n += 1; c.sendall(b'%08d' % n); assert c.recv(8) == b'%08d' % n; time.sleep(0.05)
s, _ = l.accept(); a, b = socket.socketpair(); a.sendall(b'queued')
r, w = os.pipe(); os.write(w, b'piped')
while True:
  m = s.recv(8); s.sendall(m); n = int(m); show(b.recv(6, socket.MSG_PEEK))`),
  'tcp over loopback, with full queues': python(`
l = socket.create_server(('127.0.0.1', 5000)); c = socket.create_connection(('127.0.0.1', 5000)); s, _ = l.accept()
c2 = socket.create_connection(('127.0.0.1', 5000)); s2, _ = l.accept(); c2.setblocking(False); sent = 0
try:
  while True: sent += c2.send(b'y' * 65536)
except BlockingIOError: pass
c3 = socket.create_connection(('127.0.0.1', 5000)); s3, _ = l.accept(); c3.sendall(b'last'); c3.shutdown(socket.SHUT_WR)
c4 = socket.create_connection(('127.0.0.1', 5000)); s4, _ = l.accept(); c4.sendall(b'bye'); c4.close()
ended = select.poll(); ended.register(s3, select.POLLRDHUP); ended.register(s4, select.POLLRDHUP)
while True:
  n += 1; c.sendall(b'%08d' % n); assert s.recv(8) == b'%08d' % n
  show(sent, s2.recv(3, socket.MSG_PEEK), s3.recv(9, socket.MSG_PEEK), s4.recv(9, socket.MSG_PEEK), len(ended.poll(0))); time.sleep(0.05)`),
  'epoll, timerfd, eventfd, inotify, memfd, locks': python(`
import select, ctypes, fcntl, mmap
libc = ctypes.CDLL(None)
ep = select.epoll(); os.makedirs('/var/watched/deep')
t = libc.timerfd_create(1, 0); libc.timerfd_settime(t, 0, (ctypes.c_long * 4)(0, 50000000, 0, 50000000), None); ep.register(t, select.EPOLLIN)
i = libc.inotify_init(); libc.inotify_add_watch(i, b'/var/watched/deep', 0x100); ep.register(i, select.EPOLLIN)
e = libc.eventfd(3, 0); m = libc.memfd_create(b'm', 0); os.write(m, b'memfd'); shared = mmap.mmap(-1, 4096); shared[:3] = b'shm'
f = open('/dev/shm/x', 'w+'); f.write('devshm'); f.flush(); fcntl.flock(f, fcntl.LOCK_EX)
seen = 0
while True:
  for fd, _ in ep.poll():
    if fd == i: os.read(i, 4096); seen = 1
    if fd == t:
      os.read(t, 8); n += 1
      if n % 3 == 0: open('/var/watched/deep/f%d' % n, 'w').close(); seen = 0
      os.lseek(m, 0, 0); show(os.read(m, 9), shared[:3], open('/dev/shm/x').read(), seen if n % 3 == 2 else '')`),
};

function python(body: string): string[] {
  const head = `import os, select, socket, time
n = 0
def show(*what): print(n, *what, flush=True)
`;
  return ['python3', '-c', head + body.trim()];
}

function numbers(container: Container): number[] {
  return container.lines.map((line) => parseInt(line, 10));
}

async function counted(container: Container, count: number): Promise<void> {
  await vi.waitFor(() => expect(container.lines.length).toBeGreaterThanOrEqual(count), {
    timeout: 20_000,
    interval: 50,
  });
}

/** What a container wrote before it was frozen may still be on its way. */
async function silent(container: Container): Promise<void> {
  for (let seen = -1; seen !== container.lines.length;) {
    seen = container.lines.length;
    await pause(100);
  }
}

/** Between two programs that it starts (agent/tasks/held-task.ts). */
async function freeze(container: Container, pid: number): Promise<void> {
  const spawns = new Spawns(pid);
  await host.runc.pause(container.id);
  while ((await spawns.underWay()) !== undefined) {
    await host.runc.resume(container.id);
    await spawns.end();
    await host.runc.pause(container.id);
  }
}

/** Saves a container as an agent does; leaves it frozen. */
async function save(container: Container, dir: string) {
  const facts = await container.facts();
  const { paths } = await watchedPaths(facts.pid);
  await freeze(container, facts.pid);
  await silent(container);
  const before = container.lines.length;
  const criuDir = join(dir, 'criu');
  const [, files] = await Promise.all([
    host.runc.checkpoint(container.id, {
      imagePath: criuDir,
      workPath: join(dir, 'work'),
      criu: { inotifyPaths: paths, stopTimeoutS: 60 },
    }),
    saveFiles(facts, join(dir, 'files')),
  ]);
  const saved = await saveLinkRemaps(facts, criuDir, join(dir, 'files'), files);
  expect((await host.runc.state(container.id)).status).toBe('paused');
  expect(container.lines).toHaveLength(before);
  return { criuDir, workDir: join(dir, 'work'), parts: saved.parts };
}

describe('a container with', () => {
  it.each(Object.entries(PROGRAMS))('%s goes on in another container where it was frozen', async (name, args) => {
    const id = `c${Object.keys(PROGRAMS).indexOf(name)}`;
    const old = await host.container(`${id}-old`, args);
    await old.start();
    await counted(old, 7);
    const saved = await save(old, join(host.dir, `${id}-saved`));
    const last = numbers(old).at(-1) ?? 0;
    const shown = old.lines.at(-1)?.replace(/^\d+/, '');

    // The original goes on as if nothing had happened.
    await host.runc.resume(old.id);
    await counted(old, old.lines.length + 3);
    await old.remove();
    expect(numbers(old)).toEqual(numbers(old).map((_, index) => index + 1));

    const copy = await host.container(`${id}-copy`, args);
    // Its root is mounted in the host's namespace only.
    const rootfs = host.path(copy.rootfs);
    await unpackFiles(
      saved.parts,
      { rootfs, volumes: [], shmSource: undefined },
      { restoreId: 'r', workDir: saved.workDir },
    );
    const config = join(saved.workDir, 'restore.conf');
    await writeCriuConfig(config);
    await copy.restore(saved.criuDir, config);
    await counted(copy, 7);
    const first = numbers(copy)[0] ?? 0;
    // What was written into the pipe and not read when the cut was taken is not the task's any more.
    expect(first).toBeGreaterThan(last);
    expect(first).toBeLessThanOrEqual(last + 1);
    expect(numbers(copy)).toEqual(numbers(copy).map((_, index) => first + index));
    if (!name.startsWith('epoll')) expect(copy.lines[0]?.replace(/^\d+/, '')).toBe(shown);
    else expect(copy.lines.some((line) => line.endsWith(' 1'))).toBe(true);
    await copy.remove();
  });
});

describe('a connection that its peer has ended', () => {
  it.each([
    ['4', '10.9.0.5', '10.9.0.6', '24'],
    ['6', 'fd09::5', 'fd09::6', '64'],
  ])(
    'is restored as ended, also under an address that the new container has not: IPv%s',
    async (v, own, peer, bits) => {
      const args = python(`
while True:
  try: l = socket.create_server(('${own}', 5000), family=socket.AF_INET${v === '6' ? '6' : ''}); break
  except OSError: time.sleep(0.05)
c = socket.create_connection(('${own}', 5000), source_address=('${peer}', 0)); s, _ = l.accept(); c.sendall(b'bye'); c.close()
ended = select.poll(); ended.register(s, select.POLLRDHUP)
while True:
  n += 1; show(s.recv(9, socket.MSG_PEEK), len(ended.poll(0))); time.sleep(0.05)`);
      const old = await host.container(`ended-old${v}`, args);
      await old.start();
      for (const address of [peer, own])
        await old.inNetwork([
          'ip',
          'address',
          'add',
          `${address}/${bits}`,
          'dev',
          'lo',
          ...(v === '6' ? ['nodad'] : []),
        ]);
      await counted(old, 5);
      expect(old.lines.at(-1)).toMatch(/ b'bye' 1$/);
      const saved = await save(old, join(host.dir, `ended-saved${v}`));
      await old.remove();

      const copy = await host.container(`ended-copy${v}`, args);
      const config = join(saved.workDir, 'restore.conf');
      await writeCriuConfig(config);
      await copy.restore(saved.criuDir, config, [own]);
      await counted(copy, 5);
      expect(copy.lines.at(-1)).toMatch(/ b'bye' 1$/);
      // CRIU feeds the FIN to the socket in a packet of its own, which must find its way through the block.
      expect(await copy.inNetwork(['ss', '-Htan', 'state', 'close-wait'])).toContain(peer);
      await copy.remove();
    },
  );
});

describe('a dump', () => {
  it('that fails says why in the words of CRIU, and the task goes on', async () => {
    const program = PROGRAMS['epoll, timerfd, eventfd, inotify, memfd, locks'] ?? [];
    const container = await host.container('failing', program);
    await container.start();
    await counted(container, 3);
    const dir = join(host.dir, 'failing-saved');
    // Without knowing the watched path.
    await expect(
      host.runc.checkpoint(container.id, { imagePath: join(dir, 'criu'), workPath: join(dir, 'work') }),
    ).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining("Can't dump that handle") as string,
      where: { file: join(dir, 'work/dump.log') },
    });
    await counted(container, container.lines.length + 3);
    await container.remove();
  });

  it('can be given up, and the task goes on', async () => {
    const container = await host.container('abandoned', PROGRAMS['node with a worker'] ?? []);
    await container.start();
    await counted(container, 3);
    await host.runc.pause(container.id);
    const dir = join(host.dir, 'abandoned-saved');
    const abort = new AbortController();
    const dump = host.runc.checkpoint(container.id, {
      imagePath: join(dir, 'criu'),
      workPath: join(dir, 'work'),
      signal: abort.signal,
    });
    setImmediate(() => abort.abort());
    await expect(dump).rejects.toMatchObject({ code: 'interrupted' });
    expect((await host.runc.state(container.id)).status).toBe('paused');
    await host.runc.resume(container.id);
    await counted(container, container.lines.length + 3);
    await container.remove();
  });

  it('knows the connections, the processes and what the kernel had of them', async () => {
    const container = await host.container('described', PROGRAMS['tcp over loopback, with full queues'] ?? []);
    await container.start();
    await counted(container, 3);
    // As an agent does: the kernel goes on sending for a frozen process, and the ends are read one after the other.
    await new KernelInterceptor({ netns: `/proc/${await container.pid()}/ns/net` }).block(60_000);
    const { criuDir, workDir } = await save(container, join(host.dir, 'described-saved'));
    const { connections, processes, stats } = await readDump(criuDir, workDir);
    expect(processes).toEqual([{ pid: 1, parentPid: 0, threads: 1, command: 'python3' }]);
    expect(stats?.pagesWritten).toBeGreaterThan(100);
    expect(connections.map((connection) => connection.state).sort()).toEqual([
      'CLOSE_WAIT',
      'CLOSE_WAIT',
      'ESTABLISHED',
      'ESTABLISHED',
      'ESTABLISHED',
      'ESTABLISHED',
      'FIN_WAIT2',
    ]);
    for (const one of connections) {
      const peer = connections.find(
        (other) => other.local.port === one.remote.port && other.remote.port === one.local.port,
      );
      if (peer === undefined) continue; // closed by the program
      // Both ends were frozen together; an acknowledgment may have been delayed or on its way (the cut condition, not equality).
      const ahead = (from: number, to: number): number => (to - from) | 0; // modulo 2^32, as the kernel compares
      expect(ahead(one.sndUna, peer.rcvNxt)).toBeGreaterThanOrEqual(0);
      expect(ahead(peer.rcvNxt, one.sndNxt)).toBeGreaterThanOrEqual(0);
    }
    expect(connections.some((connection) => connection.sendQueueBytes > 100_000)).toBe(true);
    await host.runc.kill(container.id, 'KILL');
    await container.remove();
    rmSync(join(host.dir, 'described-saved'), { recursive: true });
  });
});

it('a shell that starts programs all the time can be dumped whenever it is frozen', async () => {
  const container = await host.container('spawning', [
    'sh',
    '-c',
    'n=0; while :; do /bin/true; n=$((n+1)); echo $n; done',
  ]);
  await container.start();
  await counted(container, 5);
  const { pid } = await container.facts();
  for (let turn = 0; turn < 10; turn++) {
    await freeze(container, pid);
    const [imagePath, workPath] = [join(host.dir, `spawning-${turn}`), join(host.dir, `spawning-${turn}-work`)];
    await host.runc.checkpoint(container.id, { imagePath, workPath });
    await host.runc.resume(container.id);
  }
  await container.remove();
});
