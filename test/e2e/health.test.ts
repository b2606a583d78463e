import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ComposeService } from '../../examples/demo/stacks.ts';
import {
  PATIENCE_MS,
  expectNoTraces,
  freezeOn,
  migrate,
  others,
  restore,
  snapshot,
  stacks,
  waitFor,
} from './harness.ts';

/**
 * Whether a task lives is known by a token that is only in its memory; enough of that for a dump to take longer than the tight check's interval. SIGUSR1 is
 * counted, so that it can be seen when a signal arrives.
 */
const PROGRAM = `
import os, signal, time
ballast = os.urandom(150 << 20)
token = os.urandom(8).hex()
signals = n = 0
def count(*_):
    global signals
    signals += 1
signal.signal(signal.SIGUSR1, count)
while True:
    n += 1
    with open('/tmp/new', 'w') as file: file.write('%s %d %d' % (token, signals, n))
    os.rename('/tmp/new', '/tmp/state')
    time.sleep(0.05)
`;

interface State {
  readonly token: string;
  readonly signals: number;
  readonly n: number;
}

/** What Swarm has made for the service so far, the newest first. */
interface SwarmTask {
  readonly ID: string;
  readonly CurrentState: string;
  readonly Error: string;
}

const STACK = 'health';

beforeAll(async () => {
  const service = (healthcheck: object): ComposeService => ({
    image: 'swarmcut/examples:latest',
    command: ['python3', '-u', '-c', PROGRAM],
    networks: ['net'],
    // A shell's special characters, and Go's.
    healthcheck: { test: ['CMD-SHELL', 'test -s /tmp/state && echo "<é&>" >/dev/null'], ...healthcheck },
    stop_grace_period: '3s',
    deploy: { replicas: 1, endpoint_mode: 'dnsrr' },
  });
  await stacks.deployCompose(STACK, {
    services: {
      // On a busy machine the checks themselves took up to 2 s: far from their timeout, which is not what is tested here.
      tight: service({ interval: '1s', timeout: '10s', retries: 1, start_period: '20s' }),
      long: service({ interval: '30s', timeout: '10s', retries: 1 }),
    },
    networks: { net: { driver: 'overlay' } },
  });
});

afterAll(async () => {
  await stacks.remove(STACK);
});

async function state(service: string): Promise<State> {
  const text = await stacks.inTask(await stacks.task(STACK, service), ['cat', '/tmp/state']);
  const [token = '', signals = '', n = ''] = text.split(' ');
  return { token, signals: Number(signals), n: Number(n) };
}

async function tasksOf(service: string): Promise<SwarmTask[]> {
  const lines = await stacks.must('n1', [
    'docker',
    'service',
    'ps',
    '--no-trunc',
    '--format',
    'json',
    `${STACK}_${service}`,
  ]);
  return lines
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as SwarmTask);
}

/** Waits until Swarm has ended what it does not need any more. No task has failed, and none was made beyond `count`. */
async function expectTasks(service: string, count: number): Promise<void> {
  const tasks = await waitFor(
    `the end of the old task of ${service}`,
    async () => {
      const found = await tasksOf(service);
      const running = found.filter(({ CurrentState }) => CurrentState.startsWith('Running'));
      return running.length === 1 && running[0] === found[0] && found;
    },
    { timeoutMs: PATIENCE_MS },
  );
  expect(tasks.map(({ Error: error }) => error)).toEqual(tasks.map(() => ''));
  expect(tasks).toHaveLength(count);
  const { node, containerId } = await stacks.task(STACK, service);
  const format = '{{.State.Health.Status}} {{range .State.Health.Log}}{{.ExitCode}} {{end}}';
  const health = await stacks.must(node, ['docker', 'inspect', '-f', format, containerId]);
  expect(health).toMatch(/^healthy( 0)+ ?$/);
}

/** The task lives on in whatever container it is now. */
async function expectGoesOn(service: string, before: State): Promise<void> {
  const now = await state(service);
  expect(now).toMatchObject({ token: before.token });
  await waitFor(`${service} to go on`, async () => (await state(service)).n > now.n, { timeoutMs: PATIENCE_MS });
}

describe('a check every second that may not fail once', () => {
  let id = '';
  let before: State;

  test('goes on through snapshots', async () => {
    before = await state('tight');
    for (let i = 0; i < 3; i++) ({ id } = await snapshot(STACK));
    await expectGoesOn('tight', before);
    await expectTasks('tight', 1);
  });

  test('a signal for a task that is frozen reaches it afterwards, and is in no snapshot', async () => {
    const task = await stacks.task(STACK, 'tight');
    const frozen = freezeOn(task.node);
    const [taken] = await Promise.all([
      snapshot(STACK),
      frozen.then(() => stacks.must(task.node, ['docker', 'kill', '-s', 'USR1', task.containerId])),
    ]);
    await waitFor('the signal', async () => (await state('tight')).signals === 1, { timeoutMs: PATIENCE_MS });
    ({ id } = taken);
  });

  test('goes on through a restore in place', async () => {
    const { node } = await stacks.task(STACK, 'tight');
    const { node: other } = await stacks.task(STACK, 'long');
    await restore(id, '--to', `tight=${node}`, '--to', `long=${other}`);
    await expectGoesOn('tight', before);
    expect((await state('tight')).signals).toBe(0);
    await expectTasks('tight', 2);
    await expectTasks('long', 2);
  });

  test('goes on through a migration', async () => {
    const { node } = await stacks.task(STACK, 'tight');
    await migrate(`${STACK}_tight`, '--to', others(node)[0]);
    await expectGoesOn('tight', before);
    await expectTasks('tight', 3);
  });
});

test('a check that comes late makes Swarm wait, and not make another task', async () => {
  const before = await state('long');
  const { node } = await stacks.task(STACK, 'long');
  await migrate(`${STACK}_long`, '--to', others(node)[0]);
  await expectGoesOn('long', before);
  await expectTasks('long', 3);
  await expectNoTraces(STACK);
});
