import { afterEach, describe, expect, test } from 'vitest';
import { PATIENCE_MS, expectGoesOn, expectNoTraces, others, restore, snapshot, stacks, waitFor } from '../harness.ts';
import type { RunningTask } from '../harness.ts';

const STACK = 'pair';

describe('connections that lead out of the stack', () => {
  afterEach(async () => {
    await stacks.remove(STACK);
  });

  /** A pair whose client dials, as soon as it is told to, its own node's agent: outside the stack, and it keeps silent connections open. */
  async function deploy(rule: 'close' | 'refuse'): Promise<void> {
    // A process of `docker exec` would be no child of the container's first one, and so no part of a dump. Its input comes from a pipe
    // that nobody closes: CRIU's dump ends a `sleep` early (EINTR), and `tail` would outlive the connection.
    const dial = `mkfifo /tmp/hold; exec 9<>/tmp/hold; until [ -s /tmp/dial ]; do sleep 0.1; done
      busybox nc $(cat /tmp/dial) 7433 <&9; echo closed > /tmp/closed`;
    await stacks.deploy('pair', {
      algorithm: 'lai-yang',
      stack: STACK,
      change: ({ services }) => {
        for (const service of Object.values(services)) {
          service.deploy.labels = { ...service.deploy.labels, 'swarmcut.external': rule };
          service.command = ['sh', '-c', `(${dial}) & exec ${(service.command ?? []).join(' ')}`];
        }
      },
    });
  }

  async function dialOut(): Promise<RunningTask> {
    const client = await stacks.task(STACK, 'client');
    const [address = ''] = (await stacks.must(client.node, ['hostname', '-i'])).split(' ');
    await stacks.inTask(client, ['sh', '-c', 'echo "$1" > /tmp/dial', 'sh', address]);
    await waitFor('the connection', async () => (await outward(client)) === 1, { timeoutMs: PATIENCE_MS });
    return client;
  }

  /** How many of its connections lead to an agent. */
  async function outward(client: RunningTask): Promise<number> {
    const lines = (await stacks.inTask(client, ['busybox', 'netstat', '-tn'])).split('\n');
    return lines.filter((line) => line.includes(':7433') && line.includes('ESTABLISHED')).length;
  }

  test('refuse: the snapshot fails and names them, and the stack runs on', async () => {
    await deploy('refuse');
    const { id } = await snapshot(STACK);
    expect(id).not.toBe('');
    const client = await dialOut();
    const refused = await stacks.coordinator(['snapshot', STACK]);
    expect(refused.exitCode).toBe(8);
    expect(refused.error?.message).toMatch(/lead out of the stack: pair_client.1 .*7433/);
    await expectGoesOn(STACK);
    expect(await outward(client)).toBe(1);
    await expectNoTraces(STACK);
  });

  test('close: the running program keeps them, the restored one sees them reset at once', async () => {
    await deploy('close');
    const before = await dialOut();
    const { id } = await snapshot(STACK);
    expect(await outward(before)).toBe(1);
    const report = await restore(id, '--to', others(before.node)[0]);
    expect(report.closedConnections).toBe(1);
    const after = await stacks.task(STACK, 'client');
    // The program itself has noticed: it was told, and did not have to run into a time-out.
    await waitFor('the reset', async () => (await stacks.inTask(after, ['cat', '/tmp/closed'])) === 'closed', {
      timeoutMs: PATIENCE_MS,
    });
    expect(await outward(after)).toBe(0);
    expect(await expectGoesOn(STACK)).toMatchObject({ errors: 0, reconnects: 0 });
  });
});
