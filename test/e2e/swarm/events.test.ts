import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { pathInHost } from '../../../examples/testbed/index.ts';
import { PATIENCE_MS, expectNoTraces, halter, others, stacks, waitFor } from '../harness.ts';
import type { MigrateReport, ProgramStatus, RunningTask } from '../harness.ts';
import type { CoordinatorAnswer } from '../../../examples/demo/stacks.ts';
import { SWARM_EVENTS, type SwarmEvent } from '../swarm-events.ts';

const STACK = 'events';
const SERVICE = `${STACK}_client`;

/** Those that are tried in every run; `SWARMCUT_EVENTS=<rounds>` tries all of them so many times. */
const SAMPLE = new Set([
  'a label of the service',
  'an update by force',
  'another environment',
  'the node is drained and comes back',
  'another stack is deployed and removed',
]);
const ROUNDS = Number(process.env.SWARMCUT_EVENTS ?? 0);
const CHOSEN = SWARM_EVENTS.filter(({ name }) => ROUNDS > 0 || SAMPLE.has(name));

/**
 * Things that people do to a service, and that happen to its node, between the beginning of a migration and its cut: without us they would end the task or
 * leave it alone. Its state is never lost: it moves, or it goes on where it is, or people are told where it is kept.
 */
describe.each(['lai-yang', 'chandy-lamport'])('events of a Swarm during migrations (%s)', (algorithm) => {
  beforeAll(async () => {
    await stacks.deploy('pair', {
      stack: STACK,
      algorithm,
      change: ({ services }) => {
        for (const { deploy } of Object.values(services)) deploy.restart_policy = { condition: 'any', delay: '1s' };
      },
    });
  });

  afterAll(async () => {
    await stacks.remove(STACK);
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

  const names = Array.from({ length: Math.max(1, ROUNDS) }, () => CHOSEN.map(({ name }) => name)).flat();
  test.each(names)('%s', async (name) => {
    const event = SWARM_EVENTS.find((one) => one.name === name);
    if (event === undefined) throw new Error(name);
    before = { ...(await status()), task: await clientTask() };
    const answer = await migrateDuring(event);
    await expectNotLost(answer);
  });

  /** The event comes when Swarm has placed the new task, and before that is known: the agent of its node stands still so long. */
  async function migrateDuring(event: SwarmEvent): Promise<CoordinatorAnswer<MigrateReport>> {
    const { task } = before;
    const [to] = others(task.node);
    const agent = await halter(to, 'agent');
    const over = new AbortController();
    const running = stacks.coordinator<MigrateReport>(['migrate', SERVICE, '--to', to]);
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
    const file = await pathInHost(stacks.bed, 'n1', `/var/lib/swarmcut/replacements/${STACK}.json`);
    const there = (): boolean => {
      try {
        return readFileSync(file, 'utf8').includes('"phase":"replacing"');
      } catch {
        return false;
      }
    };
    await waitFor('the beginning of the migration', () => Promise.resolve(there()), {
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

  async function expectNotLost({ exitCode, error, stderr }: CoordinatorAnswer<MigrateReport>): Promise<void> {
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
    const { n } = await status();
    await waitFor('the client to go on', async () => (await status()).n > n, { timeoutMs: PATIENCE_MS });
    const listed = await stacks.coordinate<{ id: string }[]>(['list', STACK]);
    expect(listed).toEqual([]);
  }
});
