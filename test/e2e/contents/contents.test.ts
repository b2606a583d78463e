import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  PATIENCE_MS,
  agentsAnswer,
  expectGoesOn,
  expectNoTraces,
  killService,
  others,
  restore,
  snapshot,
  stacks,
  waitFor,
} from '../harness.ts';
import type { Manifest, RunningTask, VerifyReport } from '../harness.ts';
import { randomBytes } from 'node:crypto';

/** A container with most of what a checkpoint has to carry, in the language that starts fastest. */
const CHILD = 'i=0; while :; do i=$((i+1)); echo $i > /tmp/child; sleep 0.05; done';
const PARENT = `
  echo before > /root/layer; rm -f /etc/group
  exec 7>/tmp/deleted; echo kept-open >&7; rm /tmp/deleted
  mkfifo /tmp/pipe; exec 8<>/tmp/pipe; echo in-the-pipe >&8
  sh -c '${CHILD}' &
  secret=only-in-memory; n=0
  while :; do
    n=$((n+1)); echo "$n $secret" > /tmp/parent; mv /tmp/parent /tmp/parent.seen
    if [ -e /tmp/ask ]; then rm /tmp/ask; read line <&8; echo "$line" > /tmp/answer; cat /proc/self/fd/7 > /tmp/open 2>/dev/null || true; fi
    sleep 0.05
  done`;

describe('what a checkpoint contains', () => {
  const stack = 'contents';
  let id = '';

  beforeAll(async () => {
    await stacks.must('n1', ['sh', '-c', 'echo one | docker config create contents_settings -']);
    await stacks.deploy('redis', {
      algorithm: 'lai-yang',
      stack,
      change: (compose) => {
        const { services } = compose;
        const { redis } = services;
        if (redis === undefined) throw new Error('the example has no redis any more');
        // Its own background saving makes a child process at a time of its own.
        redis.command = [...(redis.command ?? []).slice(0, -1), ''];
        services.shell = {
          image: redis.image ?? '',
          command: ['busybox', 'sh', '-c', PARENT],
          volumes: ['shell:/volume'],
          networks: ['redis'],
          stop_grace_period: '2s',
          // A link on Debian: /usr/bin/docker-init.
          init: true,
          sysctls: { 'net.core.somaxconn': '777' },
          configs: [{ source: 'settings', target: '/settings' }],
          deploy: { ...redis.deploy, resources: { limits: { memory: '200M' } } },
        };
        compose.volumes = { data: {}, shell: {} };
        compose.configs = { settings: { external: true, name: 'contents_settings' } };
      },
    });
    await stacks.inTask(await shell(), [
      'sh',
      '-c',
      'echo before > /volume/file; echo before > /dev/shm/file; mkdir -p /srv/dir; ln -s /volume /srv/dir/link',
    ]);
    const redis = await stacks.task(stack, 'redis');
    await stacks.inTask(redis, ['redis-cli', 'set', 'e2e', 'before']);
    await stacks.inTask(redis, ['sh', '-c', 'echo before > /data/file']);
    // Does its work once, and has done it at the snapshot. Part of the stack by its label.
    await stacks.must('n1', [
      ...['docker', 'service', 'create', '--detach', '--no-resolve-image', '--restart-condition', 'none'],
      ...['--label', `com.docker.stack.namespace=${stack}`, '--network', `${stack}_redis`, '--name', `${stack}_once`],
      ...['swarmcut/examples:latest', 'true'],
    ]);
    await waitFor('the end of the one-shot service', async () => (await tasksOf('once')).includes('Complete'), {
      timeoutMs: PATIENCE_MS,
    });
    ({ id } = await snapshot(stack));
  });

  /** States of all tasks that a service ever had, by whatever restore. */
  function tasksOf(service: string): Promise<string> {
    return stacks.must('n1', ['docker', 'service', 'ps', '--format', '{{.CurrentState}}', `${stack}_${service}`]);
  }

  afterAll(async () => {
    await stacks.remove(stack, { volumes: true });
    await stacks.must('n1', ['sh', '-c', 'docker config rm $(docker config ls -q --filter name=contents_settings)']);
  });

  function shell(): Promise<RunningTask> {
    return stacks.task(stack, 'shell');
  }

  async function read(task: RunningTask, file: string): Promise<string> {
    return stacks.inTask(task, ['sh', '-c', `cat ${file} 2>&1 || true`]);
  }

  test('a look into it finds nothing that a snapshot would not carry', async () => {
    const looked = await stacks.coordinator<{ service: string; obstacles: { effect: string }[] }[]>(['check', stack]);
    expect(looked.exitCode).toBe(0);
    expect(looked.result?.map(({ service }) => service)).toContain(`${stack}_shell`);
    expect(looked.result?.flatMap(({ obstacles }) => obstacles).filter(({ effect }) => effect !== 'lost')).toEqual([]);
  });

  test('its description names processes, threads and parts', async () => {
    const manifest = await stacks.coordinate<Manifest>(['inspect', id]);
    const byService = new Map(manifest.tasks.map((task) => [task.task.service, task]));
    // The shell, its child, and whatever of `sleep` was there.
    expect(byService.get(`${stack}_shell`)?.processes.length).toBeGreaterThanOrEqual(2);
    expect(byService.get(`${stack}_client`)?.processes[0]?.threads).toBeGreaterThan(4);
    expect(byService.get(`${stack}_redis`)?.processes[0]?.threads).toBeGreaterThan(2);
    const kinds = (service: string): string[] => [
      ...new Set(byService.get(`${stack}_${service}`)?.parts.map(({ kind }) => kind)),
    ];
    // /dev/shm is a tmpfs, which CRIU's own images carry.
    expect(kinds('shell').sort()).toEqual(['CRIU', 'UPPER', 'VOLUME']);
    expect(kinds('redis')).toContain('VOLUME');
  });

  test('files, volumes, /dev/shm, pipes and memory are those of the cut, in place', async () => {
    const running = await shell();
    await stacks.inTask(running, [
      'sh',
      '-c',
      'for f in /root/layer /volume/file /dev/shm/file; do echo after > $f; done; touch /root/later /volume/later /dev/shm/later /srv/later',
    ]);
    const redis = await stacks.task(stack, 'redis');
    await stacks.inTask(redis, ['redis-cli', 'set', 'e2e', 'after']);
    await stacks.inTask(redis, ['sh', '-c', 'echo after > /data/file; echo after > /data/later']);
    await restore(id, '--to', `shell=${running.node}`, '--to', `redis=${redis.node}`);
    await expectContents();
    // What had done its work was not run again.
    expect((await tasksOf('once')).split('\n')).toHaveLength(1);
  });

  test('and on other nodes, after stack and volumes are gone', async () => {
    const was = await shell();
    await stacks.remove(stack, { volumes: true });
    // The same name means something else by now.
    await stacks.must('n1', [
      'sh',
      '-c',
      'docker config rm contents_settings; echo two | docker config create contents_settings -',
    ]);
    await restore(id, '--to', others(was.node)[0]);
    expect((await shell()).node).toBe(others(was.node)[0]);
    await expectContents();
    // It is there again, and nothing of it has run.
    expect(await tasksOf('once')).toBe('');
  });

  test('encrypted, it lies on no disk as it is, and only the key brings it back', async () => {
    const key = ['--encrypt-key-file', '/root/e2e.key'];
    await stacks.must('n1', ['sh', '-c', 'umask 077; head -c 32 /dev/urandom > /root/e2e.key']);
    const [inMemory, inVolume, inLayer] = [1, 2, 3].map(() => randomBytes(12).toString('hex')) as [
      string,
      string,
      string,
    ];
    const marks = [inMemory, inVolume, inLayer];
    const redis = await stacks.task(stack, 'redis');
    const keep = ['redis-cli', 'set', 'secret'];
    await stacks.inTask(redis, [...keep, inMemory]);
    await stacks.inTask(await shell(), [
      'sh',
      '-c',
      `echo ${inVolume} > /volume/secret; echo ${inLayer} > /root/secret`,
    ]);
    const { id: encrypted } = await snapshot(stack, ...key);
    expect(await filesWith(marks)).toEqual([]);
    // Of the one before, which is not encrypted, the same search finds what is in it.
    expect(await filesWith(['only-in-memory'])).not.toEqual([]);
    const verify = (...args: string[]) => stacks.coordinate<VerifyReport>(['verify', encrypted, ...args]);
    expect(await verify(...key)).toMatchObject({ ok: true, problems: [], encryption: { opened: true } });
    expect(await verify()).toMatchObject({ ok: true, problems: [], encryption: { opened: false } });

    await stacks.inTask(redis, [...keep, 'later']);
    await stacks.inTask(await shell(), ['sh', '-c', 'echo later > /volume/secret; echo later > /root/secret']);
    const refused = await stacks.coordinator(['restore', encrypted]);
    expect(refused).toMatchObject({ exitCode: 6, error: { code: 'precondition' } });
    expect(refused.error?.message).toMatch(/is encrypted with key [0-9a-f]{16} \(a key file\), and no key is given/);
    expect(await stacks.inTask(redis, ['redis-cli', 'get', 'secret'])).toBe('later');

    await restore(encrypted, ...key, '--to', others((await shell()).node)[0]);
    expect(await stacks.inTask(await stacks.task(stack, 'redis'), ['redis-cli', 'get', 'secret'])).toBe(inMemory);
    expect(await read(await shell(), '/volume/secret')).toBe(inVolume);
    expect(await read(await shell(), '/root/secret')).toBe(inLayer);
    expect(await filesWith(marks)).toEqual([]);

    // The final cut of a migration is on disk for a while, too.
    const moving = await stacks.task(stack, 'redis');
    await stacks.coordinate(['migrate', `${stack}_redis`, '--to', others(moving.node)[0], ...key]);
    expect(await stacks.inTask(await stacks.task(stack, 'redis'), ['redis-cli', 'get', 'secret'])).toBe(inMemory);
    expect(await filesWith(marks)).toEqual([]);
    expect(await expectGoesOn(stack)).toMatchObject({ errors: 0, reconnects: 0 });
    await expectNoTraces(stack);
  });

  /** Files of ours on any node, in memory or on disk, with one of these texts. */
  async function filesWith(texts: readonly string[]): Promise<string[]> {
    const words = texts.flatMap((text) => ['-e', text]);
    const found = await Promise.all(
      stacks.nodes.map((node) => stacks.run(node, ['grep', '-rlF', ...words, '/var/lib/swarmcut', '/run/swarmcut'])),
    );
    return found.flatMap(({ stdout }) => stdout.split('\n')).filter((line) => line !== '');
  }

  test('the authority is rotated while it runs; a revoked node is refused by name, and joins again by a token', async () => {
    await stacks.coordinate(['ca', 'rotate']);
    await snapshot(stack);
    expect(await stacks.coordinate(['verify', id])).toMatchObject({ ok: true, manifest: 'signed' });

    expect(await stacks.coordinate(['ca', 'revoke', 'n3'])).toMatchObject({ told: ['n1', 'n2'], unreached: [] });
    const { result } = await stacks.coordinator<{ node: string; error?: string }[]>(['check']);
    expect(result?.find(({ node }) => node === 'n3')?.error).toMatch(
      /the agent of node n3 \(serial number \w+\) was revoked/,
    );

    const file = '/run/testbed/join-token.json';
    const script = `coordinator join-token --wait --node n3 --json > ${file}`;
    const waiting = stacks.run('n1', ['sh', '-c', script]);
    const { token, address } = await waitFor(
      'the token',
      async () => {
        const [line = ''] = (await stacks.run('n1', ['cat', file])).stdout.split('\n');
        return line !== '' && (JSON.parse(line) as { token: string; address: string });
      },
      { timeoutMs: PATIENCE_MS },
    );
    await stacks.must('n3', ['agent', 'join', '--force', '--token', token, address]);
    expect((await waiting).exitCode).toBe(0);
    await killService('n3', 'agent');
    await agentsAnswer();
    await snapshot(stack);
    expect(await expectGoesOn(stack)).toMatchObject({ errors: 0, reconnects: 0 });
    await stacks.must('n1', ['rm', '-f', file, '/root/e2e.key']);
  });

  async function expectContents(): Promise<void> {
    const task = await shell();
    for (const file of ['/root/layer', '/volume/file', '/dev/shm/file', '/srv/dir/link/file']) {
      expect(`${file}: ${await read(task, file)}`).toBe(`${file}: before`);
    }
    const listed = await stacks.inTask(task, [
      'sh',
      '-c',
      'ls -d /root/later /volume/later /dev/shm/later /srv/later /etc/group 2>/dev/null || true',
    ]);
    expect(listed).toBe('');
    const redis = await stacks.task(stack, 'redis');
    expect(await stacks.inTask(redis, ['redis-cli', 'get', 'e2e'])).toBe('before');
    expect(await stacks.inTask(redis, ['sh', '-c', 'cat /data/file; ls /data/later 2>/dev/null || true'])).toBe(
      'before',
    );
    // What it lives in is what it was: settings, limits, host name, configs.
    expect(await read(task, '/proc/sys/net/core/somaxconn')).toBe('777');
    expect(await read(task, '/proc/sys/net/ipv4/ip_unprivileged_port_start')).toBe('0');
    expect(await read(task, '/settings')).toBe('one');
    const limit = '/sys/fs/cgroup/memory/memory.limit_in_bytes';
    expect(await read(task, `$(ls ${limit} /sys/fs/cgroup/memory.max 2>/dev/null)`)).toBe(String(200 * 1024 ** 2));
    const own = 'import socket; print(socket.gethostbyname(socket.gethostname()))';
    const asked = await stacks.inTask(task, ['sh', '-c', `hostname; cat /etc/hosts; python3 -c '${own}' 2>&1 || true`]);
    const address = asked.split('\n').at(-1) ?? '';
    expect(address, asked).toMatch(/^10\./);
    expect(await stacks.inTask(task, ['busybox', 'ip', '-o', 'address'])).toContain(` ${address}/`);
    // Both processes of the shell go on, with what only their memory knows.
    const counts = async (): Promise<number[]> => [
      Number((await read(task, '/tmp/child')).trim()),
      Number(/^(\d+) only-in-memory$/.exec(await read(task, '/tmp/parent.seen'))?.[1]),
    ];
    const [child = NaN, parent = NaN] = await counts();
    await stacks.inTask(task, [
      'sh',
      '-c',
      'until [ "$(cat /tmp/child)" -gt "$1" ]; do sleep 0.05; done',
      'sh',
      String(child + 3),
    ]);
    expect((await counts())[1]).toBeGreaterThan(parent);
    // What was in the pipe is still there; taken out once only, since the next restore puts it back.
    await stacks.inTask(task, [
      'sh',
      '-c',
      'rm -f /tmp/answer; touch /tmp/ask; until [ -s /tmp/answer ]; do sleep 0.05; done',
    ]);
    expect(await read(task, '/tmp/answer')).toBe('in-the-pipe');
    // A file that has no name any more, but is open.
    expect(await read(task, '/tmp/open')).toBe('kept-open');
    expect(await expectGoesOn(stack)).toMatchObject({ errors: 0, reconnects: 0 });
    await expectNoTraces(stack);
  }
});
