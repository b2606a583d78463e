import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PATIENCE_MS, expectNoTraces, snapshot, stacks, waitFor } from './harness.ts';
import type { RunningTask, VerifyReport } from './harness.ts';

/**
 * A task of a stack with sidecars is replaced in the ordinary way, no restore involved: the others must not wait for what its sidecar does
 * not say any more.
 */
describe('chandy-lamport and tasks that Swarm replaces', () => {
  const stack = 'replaced';

  beforeAll(async () => {
    await stacks.deploy('pair', {
      stack,
      algorithm: 'chandy-lamport',
      change: ({ services }) => {
        for (const { deploy } of Object.values(services)) deploy.restart_policy = { condition: 'any', delay: '100ms' };
      },
    });
  });

  afterAll(async () => {
    await stacks.remove(stack);
  });

  test('an update replaces the client: a snapshot seconds later succeeds', async () => {
    const former = await stacks.task(stack, 'client');
    await update('client');
    await expectSnapshot('client', former);
  });

  test('the server is killed and started anew: the same', async () => {
    const former = await stacks.task(stack, 'server');
    await stacks.must(former.node, ['docker', 'kill', '-s', 'KILL', former.containerId]);
    await expectSnapshot('server', former);
  });

  test.each(['client', 'server'])('an update replaces the %s, and nothing of its end gets through', async (service) => {
    const former = await stacks.task(stack, service);
    await silence(former);
    await update(service);
    await expectSnapshot(service, former);
  });

  async function update(service: string): Promise<void> {
    await stacks.must('n1', ['docker', 'service', 'update', '-q', '--force', `${stack}_${service}`]);
  }

  /** Nothing leaves the task's namespace any more, as if its node were gone. */
  async function silence({ node, containerId }: RunningTask): Promise<void> {
    const rules = `
      add table inet silence
      add chain inet silence out { type filter hook output priority -500; }
      add rule inet silence out oifname != "lo" drop
    `;
    const script = `pid=$(docker inspect -f '{{.State.Pid}}' "$1") && nsenter --net=/proc/$pid/ns/net nft -f -`;
    await stacks.must(node, ['sh', '-c', script, 'sh', containerId], { input: rules });
  }

  /** As soon as the pair plays again over its one new connection. */
  async function expectSnapshot(service: string, former: RunningTask): Promise<void> {
    const replaced = async (): Promise<boolean> =>
      (await stacks.task(stack, service)).containerId !== former.containerId;
    await waitFor(`another ${service}`, replaced, { timeoutMs: PATIENCE_MS });
    await expectPlays();
    const { id } = await snapshot(stack);
    expect(await stacks.coordinate<VerifyReport>(['verify', id])).toMatchObject({ ok: true, problems: [] });
    await expectNoTraces(stack);
    await expectPlays();
    const { sidecars } = await stacks.coordinate<{ sidecars: readonly { streams: number }[] }>([
      'attach',
      '--status',
      stack,
    ]);
    expect(sidecars.map(({ streams }) => streams)).toEqual([1, 1]);
    await stacks.coordinate(['rm', id]);
  }

  /** The client, which has noted that it lost its server, gets answers. */
  async function expectPlays(): Promise<void> {
    const answers = async (): Promise<number> => {
      const { connectedSinceMs, n } = await stacks.status(stack, 'client');
      return connectedSinceMs === null ? 0 : n;
    };
    let before = 0;
    await waitFor(
      `answers to the client of ${stack}`,
      async () => {
        const now = await answers();
        const more = before > 0 && now > before;
        before = now;
        return more;
      },
      { timeoutMs: PATIENCE_MS },
    );
  }
});
