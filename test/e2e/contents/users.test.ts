import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  PATIENCE_MS,
  expectGoesOn,
  expectNoTraces,
  migrate,
  others,
  restore,
  snapshot,
  stacks,
  waitFor,
} from '../harness.ts';

/** What a process of test/e2e/programs/identity.py shows; all but `n` must be the same for ever. */
interface Shown {
  readonly n: number;
  readonly ids: readonly unknown[];
  readonly limits: Readonly<Record<string, readonly number[]>>;
  readonly [key: string]: unknown;
}

const STACK = 'users';

describe.each([
  ['lai-yang', true],
  ['chandy-lamport', false],
] as const)('services of other users than root, with %s', (algorithm, wholeStory) => {
  beforeAll(async () => {
    await stacks.deploy('pair', {
      stack: STACK,
      algorithm,
      change: ({ services }) => {
        for (const [index, service] of Object.values(services).entries()) {
          service.user = `${1000 + index}:${2000 + index}`;
          service.cap_drop = ['ALL'];
          service.read_only = true;
          service.volumes = [{ type: 'tmpfs', target: '/tmp', tmpfs: { size: 1048576 } }];
        }
      },
    });
    // Swarm knows more than a compose file can say.
    const program = await readFile(new URL('../programs/identity.py', import.meta.url), 'utf8');
    await stacks.must('n1', [
      ...['docker', 'service', 'create', '--detach', '--no-resolve-image', '--name', `${STACK}_identity`],
      ...['--label', `com.docker.stack.namespace=${STACK}`, '--container-label', `com.docker.stack.namespace=${STACK}`],
      ...['--container-label', `swarmcut.algorithm=${algorithm}`, '--network', `${STACK}_pair`],
      ...[
        '--endpoint-mode',
        'dnsrr',
        '--restart-condition',
        'none',
        '--stop-signal',
        'SIGUSR1',
        '--tty',
        '--read-only',
      ],
      ...[
        '--user',
        '1234:1235',
        '--group',
        '44',
        '--group',
        '1300',
        '--cap-drop',
        'ALL',
        '--cap-add',
        'NET_BIND_SERVICE',
      ],
      ...['--mount', 'type=tmpfs,dst=/state,tmpfs-size=1m,tmpfs-mode=1777'],
      // Its image has this folder for everybody, and a new volume takes that on.
      ...[
        '--mount',
        `type=volume,src=${STACK}_volume,dst=/tmp`,
        '--host',
        'elsewhere:192.0.2.7',
        '--log-driver',
        'local',
      ],
      ...[
        '--ulimit',
        'nofile=200:300',
        '--ulimit',
        'core=0:4096',
        '--ulimit',
        'nproc=50:60',
        '--ulimit',
        'fsize=1048576',
      ],
      ...['--limit-pids', '20', 'swarmcut/examples:latest', 'python3', '-c', program],
    ]);
    await stacks.waitForReplicas(STACK);
  });

  afterAll(() => stacks.remove(STACK, { volumes: true }));

  /** What both processes show once they have gone on. */
  async function shown(): Promise<Shown[]> {
    const task = await stacks.task(STACK, 'identity');
    const read = async (): Promise<Shown[]> => {
      const lines = await stacks.inTask(task, ['sh', '-c', 'cat /state/parent; echo; cat /state/child']);
      return lines.split('\n').map((line) => JSON.parse(line) as Shown);
    };
    const first = await waitFor('what its processes show', read, { timeoutMs: PATIENCE_MS });
    return waitFor(
      'both processes to go on',
      async () => {
        const now = await read();
        return now.every(({ n }, index) => n > (first[index]?.n ?? n) + 3) && now;
      },
      { timeoutMs: PATIENCE_MS },
    );
  }

  async function expectSame(before: readonly Shown[]): Promise<void> {
    const now = await shown();
    expect(now.map((one) => ({ ...one, n: 0 }))).toEqual(before.map((one) => ({ ...one, n: 0 })));
    for (const [index, { n }] of now.entries()) expect(n).toBeGreaterThan(before[index]?.n ?? n);
    expect(await expectGoesOn(STACK)).toMatchObject({ errors: 0, reconnects: 0 });
    for (const [service, ids] of [
      ['server', '1000 2000'],
      ['client', '1001 2001'],
    ] as const) {
      const task = await stacks.task(STACK, service);
      expect(await stacks.inTask(task, ['busybox', 'stat', '-c', '%u %g', '/proc/1'])).toBe(ids);
    }
  }

  test(`are what they were, ${wholeStory ? 'on other nodes and after a migration' : 'in place'}`, async () => {
    const before = await shown();
    expect(before[0]).toMatchObject({
      ids: [
        [1234, 1234, 1234],
        [1235, 1235, 1235],
        [44, 1235, 1300],
      ],
      limits: { NOFILE: [200, 300], CORE: [0, 4096], NPROC: [50, 60] },
      root: 'Read-only file system',
    });
    const { id } = await snapshot(STACK);
    if (!wholeStory) {
      await restore(id);
      await expectSame(before);
      return;
    }
    const { node } = await stacks.task(STACK, 'identity');
    await stacks.remove(STACK, { volumes: true });
    await restore(id, '--to', `identity=${others(node)[0]}`);
    await expectSame(before);
    await migrate(`${STACK}_identity`, '--to', others(node)[1]);
    const moved = await stacks.task(STACK, 'identity');
    expect(moved.node).toBe(others(node)[1]);
    await expectSame(before);
    expect(await stacks.must(moved.node, ['docker', 'logs', '--tail', '1', moved.containerId])).toMatch(
      /^line \d+\s*$/,
    );
    await expectNoTraces(STACK);

    // The signal by which Swarm stops it is its own; SIGTERM it ignores.
    await stacks.must('n1', ['docker', 'service', 'scale', '--detach', `${STACK}_identity=0`]);
    const volume = `/var/lib/docker/volumes/${STACK}_volume/_data`;
    await waitFor('the trace of its end', () => stacks.must(moved.node, ['ls', `${volume}/stopped`]), {
      timeoutMs: PATIENCE_MS,
    });
    expect(await stacks.must(moved.node, ['stat', '-c', '%u %g %a', `${volume}/mine`])).toBe('1234 1235 640');
  });
});

test('check says whether CRIU can dump them, as CRIU puts it', async () => {
  interface Node {
    readonly node: string;
    readonly checks: readonly { readonly name: string }[];
  }
  const otherUsers = async (): Promise<Record<string, unknown>> => {
    const nodes = await stacks.coordinate<Node[]>(['check']);
    return Object.fromEntries(
      nodes.map(({ node, checks }) => [node, checks.find(({ name }) => name === 'other users')]),
    );
  };
  expect(await otherUsers()).toMatchObject({ n1: { verdict: 'OK' }, n2: { verdict: 'OK' }, n3: { verdict: 'OK' } });
  // Hosts have this one only where the machine's root lacks CAP_SYS_RESOURCE (examples/testbed/criu/limits.ts).
  const wrapper = '/usr/local/sbin/criu';
  if ((await stacks.run('n1', ['test', '-e', wrapper])).exitCode !== 0) return;
  await stacks.must('n1', ['mount', '--bind', '/usr/sbin/criu', wrapper]);
  try {
    expect(await otherUsers()).toMatchObject({
      n1: { verdict: 'WARNING', found: expect.stringContaining("Can't get rlimit") as string },
      n2: { verdict: 'OK' },
    });
    // And a snapshot is refused before anything stands still.
    const deployed = ['docker', 'service', 'create', '--detach', '--no-resolve-image', '--endpoint-mode', 'dnsrr'];
    const where = [
      '--user',
      '1234',
      '--constraint',
      'node.hostname==n1',
      '--label',
      'com.docker.stack.namespace=refused',
    ];
    await stacks.must('n1', [
      ...deployed,
      ...where,
      '--container-label',
      'com.docker.stack.namespace=refused',
      '--name',
      'refused_one',
      'swarmcut/examples:latest',
      'python3',
      '-c',
      'import time; time.sleep(9999)',
    ]);
    await stacks.waitForReplicas('refused');
    const refused = await stacks.coordinator(['snapshot', 'refused']);
    expect(refused.error).toMatchObject({ code: 'precondition' });
    expect(refused.error?.message).toMatch(/process 1 \(python3\) belongs to another user than root/);
  } finally {
    await stacks.must('n1', ['umount', wrapper]);
    await stacks.remove('refused');
    // It has been found again.
    await otherUsers();
  }
});
