import { describe, expect, it, vi } from 'vitest';
import { sidecarFor } from '../../../agent/tasks/sidecar-check.ts';
import { SidecarRunner } from '../../../agent/tasks/sidecar-runner.ts';
import type { SidecarRunnerOptions } from '../../../agent/tasks/sidecar-runner.ts';
import type { SidecarStatus } from '../../../agent/sidecars/task-sidecar.ts';
import type { TaskHost } from '../../../src/execution/real-time-executor.ts';

const EPOCH = 7;

/** A sidecar that does as its script says, and writes down what it is asked. */
class FakeSidecar {
  host: TaskHost | undefined;
  readonly asked: string[] = [];
  readonly params: unknown[] = [];
  on: Record<string, () => unknown> = {};
  #lost: ((reason: string) => void)[] = [];

  call(method: string, params?: unknown): Promise<never> {
    this.asked.push(method);
    this.params.push(params);
    return Promise.resolve().then(() => this.on[method]?.()) as Promise<never>;
  }

  onLost(lost: (reason: string) => void): () => void {
    this.#lost.push(lost);
    return () => (this.#lost = this.#lost.filter((each) => each !== lost));
  }

  die(): void {
    this.on = new Proxy({}, { get: () => () => Promise.reject(new Error('it has died')) });
    for (const lost of this.#lost) lost('SIGKILL');
  }

  /** What the participant of Chandy and Lamport does up to the save. */
  async cut(): Promise<void> {
    await this.host?.block();
    await this.host?.freeze();
    await this.host?.save(EPOCH);
  }

  async letGo(): Promise<void> {
    await this.host?.advance(EPOCH);
    await this.host?.thaw();
  }

  async report(): Promise<void> {
    await this.host?.report({ kind: 'saved', epoch: EPOCH });
  }
}

async function prepared(options: Partial<SidecarRunnerOptions> = {}) {
  const sidecar = new FakeSidecar();
  const done: string[] = [];
  const step = (name: string) => (): Promise<void> => Promise.resolve(void done.push(name));
  const steps = ['block', 'freeze', 'save', 'advance', 'unblock', 'thaw', 'discard'] as const;
  const task = Object.fromEntries(steps.map((name) => [name, step(name)])) as unknown as SidecarRunnerOptions['task'];
  const runner = await SidecarRunner.prepare({
    sidecar,
    task,
    epoch: EPOCH,
    deadlineMs: 60_000,
    keepFrozen: false,
    log: () => undefined,
    ...options,
  });
  return { sidecar, done, runner };
}

describe('a round whose participant runs in the sidecar', () => {
  it('does to the container what the sidecar asks for, and reports what it reports', async () => {
    const { sidecar, done, runner } = await prepared();
    sidecar.on.start = () =>
      sidecar
        .cut()
        .then(() => sidecar.letGo())
        .then(() => sidecar.report());
    expect(sidecar.params[0]).toEqual({ epoch: EPOCH, deadlineMs: 60_000, keepFrozen: false });
    expect(await runner.cut(EPOCH)).toEqual({ kind: 'saved', epoch: EPOCH });
    expect(done).toEqual(['block', 'freeze', 'save', 'advance', 'thaw']);
    expect(runner.busy).toBe(false);
    await runner.finish();
    expect(sidecar.asked).toEqual(['prepare', 'start', 'finish']);
    expect(sidecar.host).toBeUndefined();
  });

  it('knows of a checkpoint that a marker began before the coordinator’s word', async () => {
    const { sidecar, runner } = await prepared();
    await sidecar.cut();
    expect(runner.busy).toBe(true);
    await sidecar.letGo();
    await sidecar.report();
    expect(await runner.cut(EPOCH)).toEqual({ kind: 'saved', epoch: EPOCH });
    await runner.finish();
  });

  it('is not ended by the refusal of another round’s marker', async () => {
    const { sidecar, runner } = await prepared();
    await sidecar.host?.report({ kind: 'aborted', epoch: EPOCH + 1, reason: 'round 7 is still open' });
    expect(runner.outcome).toBeUndefined();
    await runner.finish();
  });

  it.each(['after the freeze', 'when it has let go and still records'])(
    'lets the task go when the sidecar dies: %s',
    async (when) => {
      const { sidecar, done, runner } = await prepared();
      const outcome = runner.cut(EPOCH);
      await sidecar.cut();
      if (when !== 'after the freeze') await sidecar.letGo();
      sidecar.die();
      expect(await outcome).toMatchObject({ kind: 'aborted', reason: 'its sidecar has died: SIGKILL' });
      const undone = when === 'after the freeze' ? ['discard', 'unblock', 'thaw'] : ['discard'];
      expect(done.slice(done.lastIndexOf('discard'))).toEqual(undone);
      expect(runner.busy).toBe(false);
      await runner.feed({ kind: 'abort', reason: 'x' });
      await runner.finish();
      expect(done.filter((each) => each === 'discard')).toHaveLength(1);
    },
  );

  it('lets the task go when the sidecar does not answer at the deadline', async () => {
    vi.useFakeTimers();
    try {
      const { sidecar, done, runner } = await prepared({ deadlineMs: 3_000 });
      const outcome = runner.cut(EPOCH);
      await sidecar.cut();
      sidecar.on.abort = () => new Promise(() => undefined);
      await vi.advanceTimersByTimeAsync(20_000);
      expect(await outcome).toMatchObject({ kind: 'aborted', reason: 'its sidecar does not answer' });
      expect(done.slice(-3)).toEqual(['discard', 'unblock', 'thaw']);
      runner.close();
    } finally {
      vi.useRealTimers();
    }
  });

  it('lets a task that runs again wait for the markers of slow peers, and says how many are still to come', async () => {
    vi.useFakeTimers();
    try {
      const { sidecar, runner } = await prepared({ deadlineMs: 3_000 });
      const outcome = runner.cut(EPOCH);
      await sidecar.cut();
      await sidecar.letGo();
      sidecar.on.status = () => ({ round: { epoch: EPOCH, awaited: 2 } });
      expect(await runner.progress()).toEqual({ doing: '2 markers are still to come', mark: '2' });
      await vi.advanceTimersByTimeAsync(60_000);
      expect(sidecar.asked).not.toContain('abort');
      await sidecar.report();
      expect(await outcome).toEqual({ kind: 'saved', epoch: EPOCH });
    } finally {
      vi.useRealTimers();
    }
  });

  it('keeps a task that is to move frozen for as long as it is told to, and gives it up at its own deadline else', async () => {
    vi.useFakeTimers();
    try {
      const kept = await prepared({ keepFrozen: true, deadlineMs: 3_000 });
      expect(kept.sidecar.params[0]).toMatchObject({ keepFrozen: true, deadlineMs: 86_400_000 });
      await kept.sidecar.cut();
      await kept.sidecar.report();
      kept.runner.close(); // somebody else watches over it
      await vi.advanceTimersByTimeAsync(60_000);
      expect(kept.sidecar.asked).toEqual(['prepare']);
      expect(kept.runner.busy).toBe(true);
      kept.sidecar.on.releaseRound = () => kept.sidecar.letGo();
      await kept.runner.feed({ kind: 'release' });
      expect(kept.runner.busy).toBe(false);

      const late = await prepared({ keepFrozen: true, deadlineMs: 3_000 });
      await late.sidecar.cut();
      await late.sidecar.report();
      await vi.advanceTimersByTimeAsync(3_100);
      expect(late.sidecar.asked).toEqual(['prepare', 'abort']);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('whether a task may take part', () => {
  const task = { service: 'bank_a', slot: '1', taskId: 't', containerId: 'c' };
  const known = (alive: boolean, direct: SidecarStatus['direct'] = []) => ({
    alive,
    status: () => Promise.resolve({ pid: 1, epoch: 0, streams: 0, rssBytes: 0, peers: [], direct }),
  });
  const proxy = { name: 'chandy-lamport', interceptor: 'proxy' } as const;
  const kernel = { name: 'lai-yang', interceptor: 'kernel' } as const;

  it('with a sidecar under chandy-lamport, without one under lai-yang', async () => {
    const sidecar = known(true);
    expect(await sidecarFor(proxy, 'bank', task, sidecar)).toBe(sidecar);
    expect(await sidecarFor(kernel, 'bank', task, undefined)).toBeUndefined();
  });

  it('and not the other way round, with words on what to do', async () => {
    await expect(sidecarFor(kernel, 'bank', task, known(true))).rejects.toMatchObject({
      code: 'precondition',
      advice: expect.stringContaining('coordinator detach bank') as string,
    });
    await expect(sidecarFor(proxy, 'bank', task, undefined)).rejects.toMatchObject({
      code: 'precondition',
      advice: expect.stringContaining('coordinator attach bank') as string,
    });
    await expect(sidecarFor(proxy, 'bank', task, known(false))).rejects.toMatchObject({ code: 'precondition' });
  });

  it('not while connections with peers pass the sidecar by: five are named', async () => {
    const direct = [1, 2, 3, 4, 5, 6].map((port) => ({
      local: { address: '10.0.1.2', port },
      remote: { address: '10.0.1.3', port: 9000 },
    }));
    const failed = sidecarFor(proxy, 'bank', task, known(true, direct));
    await expect(failed).rejects.toThrow(/^6 connections .* 10\.0\.1\.2:5>10\.0\.1\.3:9000 and 1 more$/);
  });
});
