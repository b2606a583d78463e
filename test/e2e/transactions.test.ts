import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  PATIENCE_MS,
  agentsAnswer,
  bringBack,
  expectGoesOn,
  expectNoTraces,
  freezeOn,
  journalOf,
  killer,
  migrate,
  others,
  placement,
  restore,
  snapshot,
  specOf,
  stacks,
  startCoordinator,
  waitFor,
} from './harness.ts';
import { SWARM_EVENTS } from './swarm/swarm-events.ts';

const STACK = 'txn';
const SERVICES = [`${STACK}_client`, `${STACK}_server`];

/** Whatever dies and whatever Swarm does meanwhile: either the old tasks go on, or the restored ones do, and nobody types anything for it. */
describe('a restore or a migration is a transaction', () => {
  /** Of a snapshot that is far enough in the past for its numbers not to be mistaken. */
  let id = '';
  let savedN = 0;

  beforeAll(async () => {
    // Swarm makes new tasks for those that fail: they must not start empty.
    const restarts = { restart_policy: { condition: 'any', delay: '1s' } };
    await stacks.deploy('pair', {
      stack: STACK,
      algorithm: 'lai-yang',
      change: ({ services }) => {
        for (const service of Object.values(services)) Object.assign(service.deploy, restarts);
      },
    });
    ({ id } = await snapshot(STACK));
    savedN = (await stacks.status(STACK, 'client')).n + 100;
    await waitFor('distance from the cut', async () => (await stacks.status(STACK, 'client')).n > savedN + 1000, {
      timeoutMs: PATIENCE_MS,
    });
  });

  afterAll(async () => {
    await stacks.remove(STACK);
  });

  let before: { tasks: string[]; specs: unknown[]; n: number };
  beforeEach(async () => {
    before = { ...(await present()), n: (await stacks.status(STACK, 'client')).n };
  });

  async function present(): Promise<{ tasks: string[]; specs: unknown[] }> {
    const tasks = (await stacks.tasks(STACK)).map(({ containerId }) => containerId);
    return { tasks, specs: await Promise.all(SERVICES.map(specOf)) };
  }

  async function goesOn(): Promise<{ n: number }> {
    for (const service of ['server', 'client'])
      expect(await expectGoesOn(STACK, service)).toMatchObject({ errors: 0, reconnects: 0 });
    await expectNoTraces(STACK);
    return stacks.status(STACK, 'client');
  }

  /** The tasks that were there are there, with all that they have done since. */
  async function expectOld(): Promise<void> {
    expect(await present()).toEqual({ tasks: before.tasks, specs: before.specs });
    expect((await goesOn()).n).toBeGreaterThan(before.n);
  }

  /** Nobody works on the stack, no agent expects anything, and every node takes tasks. */
  async function expectSettled(): Promise<void> {
    await waitFor('the end of the recovery', async () => (await journalOf(STACK)) === undefined, {
      timeoutMs: PATIENCE_MS,
    });
    for (const node of stacks.nodes) {
      await waitFor(
        `no expectation on ${node}`,
        async () => (await stacks.must(node, ['ls', '/run/swarmcut/expect'])) === '',
        { timeoutMs: PATIENCE_MS },
      );
    }
    const nodes = await stacks.must('n1', ['docker', 'node', 'ls', '--format', '{{.Availability}}']);
    expect(nodes.split('\n')).toEqual(stacks.nodes.map(() => 'Active'));
  }

  /** As soon as the commit record is written. */
  async function committed(): Promise<void> {
    await waitFor('the commit', async () => (await journalOf(STACK))?.phase === 'released', {
      timeoutMs: PATIENCE_MS,
      intervalMs: 1,
    });
  }

  const inPlace = async (): Promise<string[]> =>
    Object.entries(await placement(STACK)).flatMap(([key, node]) => ['--to', `${key.split('.')[0] ?? ''}=${node}`]);

  /** Nobody's business here: Swarm makes services, tasks and a network of somebody else, and takes them away again. */
  async function anotherStack(): Promise<void> {
    const event = SWARM_EVENTS.find(({ name }) => name === 'another stack is deployed and removed');
    await event?.run({ stacks, service: SERVICES[0] ?? '', node: 'n1' }, new AbortController().signal);
  }

  test('the coordinator is killed in a restore before its commit, while another stack is deployed: the old tasks go on, and no command is run', async () => {
    const frozen = freezeOn((await placement(STACK))['client.1'] ?? '');
    const coordinator = await startCoordinator(['restore', id, ...(await inPlace())]);
    const other = anotherStack();
    await frozen;
    coordinator.kill();
    await Promise.all([coordinator.ended, other]);
    await expectSettled();
    await expectOld();
  });

  test('its guardian is killed, too: nothing starts empty, the old tasks go on, and the next command finishes it', async () => {
    const frozen = freezeOn((await placement(STACK))['client.1'] ?? '');
    const coordinator = await startCoordinator(['restore', id, ...(await inPlace())]);
    await frozen;
    for (const pid of guardians()) process.kill(pid, 'SIGKILL');
    coordinator.kill();
    await coordinator.ended;
    // Agents notice after 10 s that nobody follows the restore; new containers go on waiting.
    await expectNoTraces(STACK, async (task) =>
      before.tasks.includes(task.containerId) && (await stillFrozen(task)) ? ['frozen'] : [],
    );
    expect(await journalOf(STACK)).toMatchObject({ phase: 'replacing' });
    expect((await stacks.tasks(STACK)).map(({ containerId }) => containerId)).toEqual(before.tasks);
    await snapshot(STACK);
    await expectSettled();
    await expectOld();
  });

  /** Pids as this machine has them. */
  function guardians(): number[] {
    const commandLine = (pid: string): string => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    };
    const found = readdirSync('/proc').filter((pid) => commandLine(pid).includes(`\0resume-after\0${STACK}\0`));
    expect(found).toHaveLength(1);
    return found.map(Number);
  }

  async function stillFrozen({ node, containerId }: { node: string; containerId: string }): Promise<boolean> {
    const state = await stacks.must(node, ['runc', '--root', '/run/docker/runtime-runc/moby', 'state', containerId]);
    return state.includes('"paused"');
  }

  test('the coordinator is killed after its commit, while another stack is deployed: the restored tasks go on', async () => {
    const commit = committed();
    const coordinator = await startCoordinator(['restore', id, ...(await inPlace())]);
    const other = anotherStack();
    await commit;
    coordinator.kill();
    await Promise.all([coordinator.ended, other]);
    await expectSettled();
    const { tasks } = await present();
    expect(tasks.filter((containerId) => before.tasks.includes(containerId))).toEqual([]);
    expect((await goesOn()).n).toBeLessThan(before.n);
  });

  test('an agent is killed in a restore: what it has made wait goes on waiting, and the old tasks go on', async () => {
    const node = (await placement(STACK))['client.1'] ?? '';
    const kill = await killer(node, 'agent');
    const frozen = freezeOn(node);
    const running = stacks.coordinator(['restore', id, ...(await inPlace())]);
    await frozen;
    kill();
    expect((await running).exitCode).not.toBe(0);
    await agentsAnswer();
    await expectSettled();
    await expectOld();
  });

  test('nodes are updated all the time during migrations: the tasks move with all that they have', async () => {
    let over = false;
    const isOver = (): boolean => over;
    const updates = (async () => {
      for (let count = 0; !isOver(); count++) {
        // Two updates of a node at once: Swarm refuses the one that comes second (ours is repeated, the command line's is not).
        for (const node of stacks.nodes)
          await stacks
            .must('n1', ['docker', 'node', 'update', '--label-add', `txn=${count}`, node])
            .catch(refusedAsSecond);
        await stacks.must('n1', ['docker', 'network', 'create', '-d', 'overlay', 'txn-other']);
        await stacks.must('n1', ['docker', 'network', 'rm', 'txn-other']);
      }
    })();
    updates.catch(() => undefined); // told below
    try {
      for (let move = 0; move < 2; move++) {
        const from = (await placement(STACK))['client.1'] ?? '';
        const [to] = others(from);
        await migrate(`${STACK}_client`, '--to', to);
        const history = await stacks.must('n1', ['docker', 'service', 'ps', '--no-trunc', `${STACK}_client`]);
        expect(await placement(STACK), history).toMatchObject({ 'client.1': to });
        expect((await goesOn()).n).toBeGreaterThan(before.n);
      }
    } finally {
      over = true;
      await updates;
    }
    await expectSettled();
  });

  test('after a migration that was interrupted, the next one goes where it is told', async () => {
    const from = (await placement(STACK))['client.1'] ?? '';
    const [to] = others(from);
    const order = ['migrate', `${STACK}_client`, '--to', to];
    const there = async (): Promise<string[]> =>
      (await stacks.must('n1', ['docker', 'service', 'ps', '-q', '-f', `node=${to}`, `${STACK}_client`])).split('\n');
    const known = await there();
    const interrupted = await startCoordinator(order);
    await waitFor('the new task', async () => (await there()).some((id) => !known.includes(id)), {
      timeoutMs: PATIENCE_MS,
      intervalMs: 10,
    });
    interrupted.kill('SIGINT');
    expect((await interrupted.ended).exitCode).not.toBe(0);
    await stacks.coordinate(order);
    expect(await placement(STACK)).toMatchObject({ 'client.1': to });
    expect((await goesOn()).n).toBeGreaterThan(before.n);
    await expectSettled();
  });

  test('the target of a migration dies after the commit, before its task has run: the old task goes on', async () => {
    const [manager, from, to] = ['n1', 'n2', 'n3'] as const;
    // Nothing else of the stack dies with it.
    for (const [service, node] of Object.entries({ server: manager, client: from }))
      if ((await placement(STACK))[`${service}.1`] !== node) await migrate(`${STACK}_${service}`, '--to', node);
    before = { ...(await present()), n: (await stacks.status(STACK, 'client')).n };
    const kills = [await killer(to, 'agent', { keepDown: true }), await killer(to, 'engine', { keepDown: true })];
    try {
      const commit = committed();
      const running = stacks.coordinator(['migrate', `${STACK}_client`, '--to', to]);
      await commit;
      for (const kill of kills) kill();
      const { exitCode, error } = await running;
      expect(exitCode).not.toBe(0);
      expect(error?.message).toMatch(/withdrawn, no new task has run: txn_client\.1 on n3/);
    } finally {
      await stacks.must(to, ['rm', '-f', '/run/testbed/engine.down']);
      await bringBack(to);
    }
    await waitFor(
      'the node',
      async () =>
        (await stacks.must('n1', ['docker', 'node', 'ls', '-f', 'name=n3', '--format', '{{.Status}}'])) === 'Ready',
      {
        timeoutMs: PATIENCE_MS,
      },
    );
    await expectSettled();
    // It has stood still for as long as it took to know that the node is down; nobody has told its peer anything else of it since.
    await expectOld();
    const listed = await stacks.coordinate<{ migration?: boolean }[]>(['list', STACK]);
    expect(listed.filter(({ migration }) => migration === true)).toEqual([]);
  });

  test('`docker service rollback` after a restore changes nothing', async () => {
    await restore(id);
    const { tasks } = await present();
    for (const service of SERVICES) await stacks.must('n1', ['docker', 'service', 'rollback', '-d', service]);
    await goesOn();
    expect((await present()).tasks).toEqual(tasks);
  });

  test('a service with a port of its node: refused while it runs, restored when it was removed', async () => {
    const stack = 'txnport';
    await stacks.deploy('pair', {
      stack,
      algorithm: 'lai-yang',
      change: ({ services: { server } }) => {
        if (server !== undefined) server.ports = [{ target: 9999, published: 9999, mode: 'host' }];
      },
    });
    try {
      const saved = await snapshot(stack);
      const there = await stacks.tasks(stack);
      const answer = await stacks.coordinator(['restore', saved.id]);
      expect(answer).toMatchObject({ exitCode: 6, error: { code: 'precondition' } });
      expect(answer.error?.message).toContain(`${stack}_server`);
      expect(await stacks.tasks(stack)).toEqual(there);
      await expectGoesOn(stack);
      await stacks.remove(stack);
      await restore(saved.id);
      expect(await expectGoesOn(stack)).toMatchObject({ errors: 0, reconnects: 0 });
    } finally {
      await stacks.remove(stack);
    }
  });
});

/** @throws every other error */
function refusedAsSecond(error: unknown): void {
  if (!String(error).includes('update out of sequence')) throw error;
}
