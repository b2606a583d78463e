import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CoordinatorAnswer } from '../../../examples/demo/stacks.ts';
import {
  PATIENCE_MS,
  expectGoesOn,
  expectNoTraces,
  freezeOn,
  journalOf,
  placement,
  specOf,
  stacks,
  startCoordinator,
  waitFor,
} from '../harness.ts';

const STACK = 'mgrs';
const SERVICES = [`${STACK}_client`, `${STACK}_server`];
const MANAGERS = ['n1', 'n2', 'n3'] as const;

/** Three managers: commands on whichever, also at once, and whatever becomes of the one that ran them. */
describe('several managers', () => {
  /** Taken on n1. */
  let id = '';

  beforeAll(async () => {
    await stacks.must('n1', ['docker', 'node', 'promote', 'n2', 'n3']);
    for (const node of MANAGERS) await giveCertificate(node);
    await waitFor('three managers', async () => (await stacks.run('n3', ['docker', 'node', 'ls'])).exitCode === 0, {
      timeoutMs: PATIENCE_MS,
    });
    const restarts = { restart_policy: { condition: 'any', delay: '1s' } };
    await stacks.deploy('pair', {
      stack: STACK,
      algorithm: 'lai-yang',
      change: ({ services }) => {
        for (const service of Object.values(services)) Object.assign(service.deploy, restarts);
      },
    });
  });

  afterAll(async () => {
    await stacks.remove(STACK);
    await stacks.must('n1', ['docker', 'node', 'demote', 'n2', 'n3']);
    await waitFor(
      'one manager',
      async () =>
        (await stacks.must('n1', ['docker', 'node', 'ls', '--format', '{{.ManagerStatus}}'])).trim() === 'Leader',
      { timeoutMs: PATIENCE_MS },
    );
  });

  /** As docs/security.md says. */
  async function giveCertificate(node: string): Promise<void> {
    if (node === 'n1') return;
    const made = `/tmp/${node}-coordinator`;
    await stacks.must('n1', ['coordinator', 'ca', 'issue', node, '--coordinator', '--out', made]);
    const files = await stacks.must('n1', ['sh', '-c', `tar -C ${made} -cf - . | base64`]);
    const unpack = 'mkdir -p /etc/swarmcut/coordinator; base64 -d | tar -C /etc/swarmcut/coordinator -xf -';
    await stacks.must(node, ['sh', '-c', unpack], { input: files });
  }

  async function on<T = unknown>(node: string, args: readonly string[]): Promise<CoordinatorAnswer<T>> {
    const result = await stacks.run(node, ['coordinator', ...args, '--json']);
    const last = result.stderr.split('\n').findLast((line) => line.startsWith('{"error"'));
    return {
      exitCode: result.exitCode,
      result: result.stdout === '' ? undefined : (JSON.parse(result.stdout) as T),
      error: last === undefined ? undefined : (JSON.parse(last) as { error: CoordinatorAnswer<T>['error'] }).error,
      stderr: result.stderr,
    };
  }

  async function must<T = unknown>(node: string, args: readonly string[]): Promise<T> {
    const { exitCode, result, stderr } = await on<T>(node, args);
    if (exitCode === 0 && result !== undefined) return result;
    throw new Error(`coordinator ${args.join(' ')} on ${node}: exit code ${exitCode}: ${stderr}`);
  }

  const idsOn = async (node: string): Promise<string[]> =>
    (await must<{ id: string }[]>(node, ['list', STACK])).map((snapshot) => snapshot.id);

  const inPlace = async (): Promise<string[]> =>
    Object.entries(await placement(STACK)).flatMap(([key, node]) => ['--to', `${key.split('.')[0] ?? ''}=${node}`]);

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

  /** The tasks that were there are there, with all that they have done since; and nobody expects anything any more. */
  async function expectOld(): Promise<void> {
    expect(await journalOf(STACK, 'n3')).toBeUndefined();
    expect(await present()).toEqual({ tasks: before.tasks, specs: before.specs });
    expect((await goesOn()).n).toBeGreaterThan(before.n);
    for (const node of stacks.nodes) expect(await stacks.must(node, ['ls', '/run/swarmcut/expect'])).toBe('');
    const nodes = await stacks.must('n1', ['docker', 'node', 'ls', '--format', '{{.Availability}}']);
    expect(nodes.split('\n')).toEqual(stacks.nodes.map(() => 'Active'));
  }

  function killGuardian(): void {
    const commandLine = (pid: string): string => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    };
    const found = readdirSync('/proc').filter((pid) => commandLine(pid).includes(`\0resume-after\0${STACK}\0`));
    expect(found).toHaveLength(1);
    for (const pid of found) process.kill(Number(pid), 'SIGKILL');
  }

  test('a snapshot that was taken on one is listed, verified, restored and removed on another', async () => {
    const taken: { id: string; epoch: number }[] = [];
    for (const node of ['n1', 'n2', 'n1']) taken.push(await must(node, ['snapshot', STACK]));
    expect(taken.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    const ids = taken.map((snapshot) => snapshot.id).reverse();
    for (const node of MANAGERS) expect(await idsOn(node)).toEqual(ids);
    [id = ''] = ids;
    expect(await must('n3', ['verify', id])).toMatchObject({ ok: true, manifest: 'signed' });
    await must('n2', ['restore', id, ...(await inPlace())]);
    await goesOn();
    expect((await present()).tasks.filter((containerId) => before.tasks.includes(containerId))).toEqual([]);
    await must('n3', ['rm', ...ids.slice(1)]);
    for (const node of MANAGERS) expect(await idsOn(node)).toEqual([id]);
    for (const node of stacks.nodes) {
      const left = await stacks.must(node, ['ls', '/var/lib/swarmcut/snapshots']);
      for (const removed of ids.slice(1)) expect(left).not.toContain(`${removed}.json`);
    }
  });

  test('of two commands at once, on two of them, one goes and the other is refused by name; nothing is discarded', async () => {
    const coordinator = await startCoordinator(['restore', id, ...(await inPlace())], 'n2');
    // It takes seconds; the other one sees within two that it lives.
    await waitFor('the lock', async () => (await holderOf()) !== undefined, { timeoutMs: PATIENCE_MS, intervalMs: 5 });
    const [second, { exitCode, stderr }] = await Promise.all([on('n3', ['snapshot', STACK]), coordinator.ended]);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(second).toMatchObject({ exitCode: 4, error: { code: 'conflict', where: { stack: STACK, node: 'n2' } } });
    expect(second.error?.message).toMatch(
      new RegExp(`^a restore \\(id .*\\) of stack ${STACK} has been running on node n2 since`),
    );
    await goesOn();
    // Snapshots one after the other on different managers: none takes the other's for a leftover.
    const all = await Promise.all(['n1', 'n3'].map((node) => on<{ id: string }>(node, ['snapshot', STACK])));
    const done = all.flatMap(({ result }) => (result === undefined ? [] : [result.id]));
    expect(done.length).toBeGreaterThan(0);
    for (const one of done) expect(await must('n2', ['verify', one])).toMatchObject({ ok: true });
    await goesOn();
  });

  async function holderOf(): Promise<{ node: string } | undefined> {
    const format = '{{index .Spec.Labels "swarmcut.lock"}}';
    const text = await stacks.must('n1', ['docker', 'config', 'inspect', '-f', format, `swarmcut-stack-${STACK}`]);
    return (JSON.parse(text) as { holder?: { node: string } }).holder;
  }

  test('one is killed before its commit, and its guardian: a command on another waits, puts everything back, and goes on', async () => {
    const frozen = freezeOn((await placement(STACK))['client.1'] ?? '');
    const coordinator = await startCoordinator(['restore', id, ...(await inPlace())], 'n2');
    await frozen;
    killGuardian();
    coordinator.kill();
    await coordinator.ended;
    expect(await journalOf(STACK)).toMatchObject({ phase: 'replacing' });
    const taking = await stacks.run('n1', ['coordinator', 'snapshot', STACK, '--progress', 'plain']);
    expect(taking).toMatchObject({ exitCode: 0 });
    expect(taking.stderr).toMatch(
      /on node n2 .* is not heard of any more: waiting until its lease ends, \d+ s at most/,
    );
    await expectOld();
  });

  test('one is killed after its commit: a command on another brings the restored tasks to run', async () => {
    const committed = waitFor('the commit', async () => (await journalOf(STACK))?.phase === 'released', {
      timeoutMs: PATIENCE_MS,
      intervalMs: 1,
    });
    const coordinator = await startCoordinator(['restore', id, ...(await inPlace())], 'n2');
    await waitFor('its journal', async () => (await journalOf(STACK)) !== undefined, {
      timeoutMs: PATIENCE_MS,
      intervalMs: 5,
    });
    killGuardian();
    await committed;
    coordinator.kill();
    await coordinator.ended;
    await must('n3', ['snapshot', STACK]);
    expect(await journalOf(STACK)).toBeUndefined();
    const { tasks } = await present();
    expect(tasks.filter((containerId) => before.tasks.includes(containerId))).toEqual([]);
    await goesOn();
  });

  test('one stands still for longer than its lease, and comes back when another has taken over: it does nothing more', async () => {
    const frozen = freezeOn((await placement(STACK))['client.1'] ?? '');
    const coordinator = await startCoordinator(['restore', id, ...(await inPlace())], 'n2');
    await frozen;
    coordinator.kill('SIGSTOP');
    const { id: taken } = await must<{ id: string }>('n3', ['snapshot', STACK]);
    await expectOld();
    coordinator.kill('SIGCONT');
    const { exitCode, stderr } = await coordinator.ended;
    expect(exitCode).toBe(4);
    expect(stderr).toMatch(
      /no longer has the lock stack-mgrs: a snapshot \(id .*\) on node n3 took it|another command has had it/,
    );
    await expectOld();
    expect(await must('n1', ['verify', taken])).toMatchObject({ ok: true });
  });
});
