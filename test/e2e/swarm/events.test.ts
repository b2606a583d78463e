import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PATIENCE_MS, expectNoTraces, halter, journalOf, others, snapshot, stacks, waitFor } from '../harness.ts';
import type { ProgramStatus, RunningTask } from '../harness.ts';
import type { CoordinatorAnswer } from '../../../examples/demo/stacks.ts';
import { SWARM_EVENTS, type SwarmEvent } from './swarm-events.ts';

const STACK = 'events';
const SERVICE = `${STACK}_client`;

/** Those that are tried in every run, in migrations, by algorithm; `SWARMCUT_EVENTS=<rounds>` (`npm run test:events`) tries all of them so many times, in restores, too. */
const SAMPLE: Readonly<Record<string, readonly string[]>> = {
  'lai-yang': ['a label of the service', 'another stack is deployed and removed', 'the node is drained and comes back'],
  'chandy-lamport': ['an update by force'],
};
const ROUNDS = Number(process.env.SWARMCUT_EVENTS ?? 0);
const ALL = Array.from({ length: ROUNDS }, () => SWARM_EVENTS.map(({ name }) => name)).flat();

/**
 * Things that people do to a service, and that happen to its node, between the beginning of a migration or restore and its cut: without us they would end the task or
 * leave it alone. Its state is never lost: it moves, or it goes on where it is, or people are told where it is kept.
 */
describe.each(Object.keys(SAMPLE))('events of a Swarm (%s)', (algorithm) => {
  /** Of a snapshot, and what the client was at its time. */
  let saved: { id: string; connectedSinceMs: number | null; n: number };

  beforeAll(async () => {
    await stacks.deploy('pair', {
      stack: STACK,
      algorithm,
      change: ({ services }) => {
        for (const { deploy } of Object.values(services)) deploy.restart_policy = { condition: 'any', delay: '1s' };
      },
    });
    const { connectedSinceMs, n } = await status();
    saved = { id: (await snapshot(STACK)).id, connectedSinceMs, n };
  });

  afterAll(async () => {
    await stacks.remove(STACK);
    // The next algorithm's stack has the same name.
    await stacks.coordinate(['rm', saved.id]);
  });

  let before: ProgramStatus & { task: RunningTask };
  afterEach(async () => {
    await expectNoTraces(STACK);
    for (const node of stacks.nodes) {
      const left = `ls -A /run/swarmcut/expect /run/swarmcut/still /run/swarmcut/parts/?? 2>/dev/null | grep -E '^[0-9a-z]'`;
      await waitFor(
        `nothing of it on ${node}`,
        async () => (await stacks.run(node, ['sh', '-c', left])).stdout === '',
        { timeoutMs: PATIENCE_MS },
      );
    }
  });

  const names = ROUNDS > 0 ? ALL : (SAMPLE[algorithm] ?? []);
  test.each(names)('during a migration: %s', async (name) => {
    const to = await apart();
    before = { ...(await status()), task: await clientTask() };
    const answer = await during(eventOf(name), to, ['migrate', SERVICE, '--to', to]);
    await expectNotLost(answer);
  });

  test.each(ALL)('during a restore: %s', async (name) => {
    const to = await apart();
    before = { ...(await status()), task: await clientTask() };
    const { node } = await stacks.task(STACK, 'server');
    const places = ['--to', `${SERVICE}=${to}`, '--to', `${STACK}_server=${node}`];
    const answer = await during(eventOf(name), to, ['restore', saved.id, ...places]);
    // Without us, an update that makes tasks anew would end the old ones, too: a restore keeps none of these.
    if (answer.exitCode !== 0) await stacks.coordinate(['restore', saved.id]);
    const now = await status();
    const history = await stacks.must('n1', ['docker', 'service', 'ps', '--no-trunc', SERVICE]);
    expect(now.connectedSinceMs, `${JSON.stringify(answer)}\n${history}`).toBe(saved.connectedSinceMs);
    expect(now.n).toBeGreaterThanOrEqual(saved.n);
    await goesOn();
  });

  function eventOf(name: string): SwarmEvent {
    const event = SWARM_EVENTS.find((one) => one.name === name);
    if (event === undefined) throw new Error(name);
    return event;
  }

  /** What happens to the client's node is to hit no other task of the stack. @returns where it can go */
  async function apart(): Promise<string> {
    const { node } = await clientTask();
    const [first, second] = others(node);
    const server = await stacks.task(STACK, 'server');
    if (server.node === node) await stacks.coordinate(['migrate', `${STACK}_server`, '--to', second]);
    return server.node === first ? second : first;
  }

  /** The event comes when Swarm has placed the new task, and before that is known: the agent of its node stands still so long. */
  async function during(event: SwarmEvent, to: string, command: string[]): Promise<CoordinatorAnswer<unknown>> {
    const { task } = before;
    const agent = await halter(to, 'agent');
    const over = new AbortController();
    const running = stacks.coordinator(command);
    try {
      await replacing();
      agent.halt();
      let happened = false;
      const happening = event.run({ stacks, service: SERVICE, node: task.node }, over.signal);
      void happening.catch(() => undefined).then(() => (happened = true));
      const taken = async (): Promise<boolean> => happened || !(await isWanted(task));
      await waitFor(event.name, taken, { timeoutMs: PATIENCE_MS });
      agent.goOn();
      const answer = await running;
      over.abort();
      await happening;
      return answer;
    } finally {
      agent.goOn();
      over.abort();
    }
  }

  async function replacing(): Promise<void> {
    await waitFor('its beginning', async () => (await journalOf(STACK))?.phase === 'replacing', {
      timeoutMs: PATIENCE_MS,
      intervalMs: 1,
    });
  }

  async function isWanted({ node, containerId }: RunningTask): Promise<boolean> {
    const label = '{{.Label "com.docker.swarm.task.id"}}';
    const id = await stacks.must(node, ['docker', 'ps', '-f', `id=${containerId}`, '--format', label]);
    return (await stacks.must('n1', ['docker', 'inspect', '-f', '{{.DesiredState}}', id])) === 'running';
  }

  async function clientTask(): Promise<RunningTask> {
    return waitFor('the client', async () => stacks.task(STACK, 'client', '1').catch(() => undefined), {
      timeoutMs: PATIENCE_MS,
    });
  }

  async function status(): Promise<ProgramStatus> {
    return JSON.parse(await stacks.inTask(await clientTask(), ['cat', '/tmp/status.json'])) as ProgramStatus;
  }

  async function expectNotLost({ exitCode, error, stderr }: CoordinatorAnswer<unknown>): Promise<void> {
    const [, kept] = /is kept as snapshot (\w+)/.exec(stderr) ?? [];
    if (kept !== undefined) {
      expect(error?.message ?? stderr).toMatch(/by somebody|given up|has ended/);
      await stacks.waitForReplicas(STACK);
      await stacks.coordinate(['restore', kept]);
      await stacks.coordinate(['rm', kept]);
      // A task that has begun anew would have to make all these steps first.
      expect((await status()).n).toBeGreaterThanOrEqual(before.n);
      await waitFor('its connection', async () => (await status()).connectedSinceMs !== null, {
        timeoutMs: PATIENCE_MS,
      });
    } else {
      if (exitCode !== 0) {
        expect(error?.message).toMatch(/by somebody/);
        expect((await clientTask()).containerId).toBe(before.task.containerId);
      }
      expect(await status()).toMatchObject({
        connectedSinceMs: before.connectedSinceMs,
        reconnects: before.reconnects,
      });
    }
    await goesOn();
    const listed = await stacks.coordinate<{ id: string }[]>(['list', STACK]);
    expect(listed.map(({ id }) => id)).toEqual([saved.id]);
  }

  async function goesOn(): Promise<void> {
    const { n } = await status();
    await waitFor('the client to go on', async () => (await status()).n > n, { timeoutMs: PATIENCE_MS });
  }
});
