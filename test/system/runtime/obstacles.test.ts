import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findObstacles, lossNotes, refuseObstacles } from '../../../agent/obstacles/look.ts';
import { obstacleText, passesByItself } from '../../../src/model/obstacles.ts';
import { CriuHost } from './criu-host.ts';

let host: CriuHost;
beforeAll(async () => {
  host = await CriuHost.start();
}, 1_200_000);
afterAll(() => host.close());

/** Each has one thing that CRIU does not carry; it says so when it has it. */
const PROGRAMS: Readonly<Record<string, readonly [string, string]>> = {
  'an MPTCP listener, as Go makes them': [
    'mptcp',
    "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); s.bind(('', 80)); s.listen()",
  ],
  'a stopped child': [
    'stopped',
    'c = os.fork()\nif c == 0: time.sleep(1000)\nos.kill(c, signal.SIGSTOP)\nos.waitpid(c, os.WUNTRACED)',
  ],
  'a traced child': [
    'traced',
    'c = os.fork()\nif c == 0: libc.ptrace(0, 0, 0, 0); os.kill(os.getpid(), signal.SIGSTOP)\nos.waitpid(c, 0)',
  ],
  'a program in memory': [
    'memfd-program',
    "m = os.memfd_create('prog', 0); os.write(m, open('/usr/bin/sleep', 'rb').read()); c = os.fork()\nif c == 0: os.execve(f'/proc/self/fd/{m}', ['sleep', '1000'], {})\nwhile not os.readlink(f'/proc/{c}/exe').startswith('/memfd'): time.sleep(0.01)",
  ],
  'a message queue': ['message-queue', "libc.mq_open(b'/queue', os.O_RDWR | os.O_CREAT, 0o600, None)"],
  'a directory that was made anew': [
    'remade-directory',
    "os.mkdir('/srv/release'); d = os.open('/srv/release', os.O_RDONLY); os.rmdir('/srv/release'); os.mkdir('/srv/release')",
  ],
  'a namespace of its own': [
    'namespace',
    "c = os.fork()\nif c == 0: libc.unshare(0x10000000); print('ready', flush=True); time.sleep(1000)\ntime.sleep(1000)",
  ],
};

/** And these have nothing: what servers usually have open. */
const FINE = `
a, b = socket.socketpair(); l = socket.socket(socket.AF_UNIX); l.bind('/run/s'); l.listen(); c = socket.socket(socket.AF_UNIX); c.connect('/run/s')
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); t = socket.create_server(('', 80)); e = select.epoll(); n = open('/dev/null'); r = open('/dev/urandom')
f = open('/tmp/gone', 'w'); os.unlink('/tmp/gone'); g = os.pipe(); p = os.pidfd_open(os.getpid())`;

function program(body: string): string[] {
  const head = 'import ctypes, os, select, signal, socket, time\nlibc = ctypes.CDLL(None)';
  return ['python3', '-c', `${head}\n${body.trim()}\nprint('ready', flush=True)\ntime.sleep(1000)`];
}

/** CRIU can dump processes of other users here. */
const can = (): Promise<boolean> => Promise.resolve(true);

async function lookedAt(id: string, body: string) {
  const container = await host.container(id, program(body));
  await container.start();
  await vi.waitFor(() => expect(container.lines).toContain('ready'), { timeout: 20_000, interval: 20 });
  const found = await findObstacles({ pid: await container.pid(), binds: [] }, can);
  await container.remove();
  return found;
}

describe('before a task is frozen, it is seen that it has', () => {
  it.each(Object.entries(PROGRAMS))('%s', async (name, [kind, body]) => {
    const found = await lookedAt(`o${Object.keys(PROGRAMS).indexOf(name)}`, body);
    expect(found.map((one) => one.kind)).toContain(kind);
    const [first] = found;
    if (first === undefined) throw new Error('nothing');
    expect(obstacleText(first)).toMatch(/^process \d+ \(\w+\) /);
    expect(() => refuseObstacles(found)).toThrow(expect.objectContaining({ code: 'precondition' }));
  });

  it('nothing, if it has what servers have', async () => {
    expect(await lookedAt('fine', FINE)).toEqual([]);
  });
});

it('busybox’ sleep is named, which ends at a snapshot, and is no reason to refuse', async () => {
  const container = await host.container('sleeper', ['busybox', 'sleep', '1000']);
  await container.start();
  const pid = await container.pid();
  await vi.waitFor(
    async () => expect(await findObstacles({ pid, binds: [] }, can)).toMatchObject([{ kind: 'sleeping' }]),
    {
      timeout: 10_000,
      interval: 50,
    },
  );
  const found = await findObstacles({ pid, binds: [] }, can);
  refuseObstacles(found);
  expect(lossNotes(found)).toEqual([expect.stringMatching(/^process 1 \(\w+\) sleeps in a way .* coreutils/)]);
  await container.remove();
});

it('processes of other users are named where CRIU cannot dump them', async () => {
  const container = await host.container('user', program(''), ({ process }) => {
    process.user = { uid: 0, gid: 1234 };
  });
  await container.start();
  const pid = await container.pid();
  const look = (dumps: boolean) => findObstacles({ pid, binds: [] }, () => Promise.resolve(dumps));
  expect(await look(true)).toEqual([]);
  const found = await look(false);
  expect(found).toMatchObject([{ kind: 'other-user', pid: 1 }]);
  expect(() => refuseObstacles(found)).toThrow(/^process 1 \(.*\) belongs to another user than root/);
  await container.remove();
});

it('only what passes by itself is tried again', () => {
  expect(passesByItself('… Error (criu/sk-unix.c:1): sk unix: Non-empty write queue on an in-flight socket')).toBe(
    true,
  );
  expect(passesByItself('… Error (criu/sk-inet.c:1): inet: Unsupported proto 262 on 0x3')).toBe(false);
});
