import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ALGORITHMS,
  PATIENCE_MS,
  expectGoesOn,
  expectNoTraces,
  migrate,
  others,
  placement,
  restore,
  snapshot,
  stacks,
  waitFor,
} from './harness.ts';
import type { VerifyReport } from './harness.ts';

/** Numbered ping-pong over one connection: a byte lost, doubled or in the wrong order shows at once, and so does a new connection. */
describe.each(ALGORITHMS)('pair with %s', (algorithm) => {
  const stack = `pair-${algorithm}`;
  let id = '';

  beforeAll(async () => {
    await stacks.deploy('pair', { stack, algorithm });
  });

  afterAll(async () => {
    await stacks.remove(stack);
  });

  async function expectSameConnection(): Promise<void> {
    for (const service of ['client', 'server']) {
      const status = await expectGoesOn(stack, service);
      expect(status).toMatchObject({ errors: 0, reconnects: 0 });
    }
  }

  test('a snapshot leaves it running, and is sound', async () => {
    const answer = await stacks.coordinate<{ id: string; algorithm: string }>(['snapshot', stack]);
    id = answer.id;
    expect(answer.algorithm).toBe(algorithm);
    await expectSameConnection();
    await expectNoTraces(stack);
    const report = await stacks.coordinate<VerifyReport>(['verify', id]);
    expect(report).toMatchObject({ ok: true, problems: [] });
    // One connection: two directions.
    expect(report.connections.map(({ from, to, ok }) => [from, to, ok]).sort()).toEqual([
      [`${stack}_client.1`, `${stack}_server.1`, true],
      [`${stack}_server.1`, `${stack}_client.1`, true],
    ]);
  });

  test('rolls back in place: the count is that of the snapshot again', async () => {
    const taken = await stacks.status(stack, 'client');
    // Far enough past the cut that the numbers after the rollback cannot be mistaken.
    await waitFor('distance from the cut', async () => (await stacks.status(stack, 'client')).n > taken.n + 500, {
      timeoutMs: PATIENCE_MS,
    });
    const before = await placement(stack);
    await restore(
      id,
      ...Object.entries(before).flatMap(([key, node]) => ['--to', `${key.split('.')[0] ?? ''}=${node}`]),
    );
    const status = await stacks.status(stack, 'client');
    expect(status.n).toBeLessThan(taken.n + 500);
    expect(await placement(stack)).toEqual(before);
    await expectSameConnection();
    await expectNoTraces(stack);
  });

  test('comes back on other nodes when the stack is gone', async () => {
    const before = await placement(stack);
    await stacks.remove(stack);
    const server = others(before['server.1'] ?? '')[0];
    const client = others(before['client.1'] ?? '')[0];
    await restore(id, '--to', `server=${server}`, '--to', `${stack}_client=${client}`);
    expect(await placement(stack)).toEqual({ 'client.1': client, 'server.1': server });
    await expectSameConnection();
    await expectNoTraces(stack);
  });

  test('one service migrates, then everything on its node', async () => {
    const before = await placement(stack);
    const [target] = others(before['client.1'] ?? '');
    const { n } = await stacks.status(stack, 'client');
    const report = await migrate(`${stack}_client`, '--to', target);
    expect(report.tasks).toMatchObject([{ service: `${stack}_client`, from: before['client.1'], to: target }]);
    expect(await placement(stack)).toEqual({ ...before, 'client.1': target });
    await expectSameConnection();
    // Nothing is rolled back by a migration.
    expect((await stacks.status(stack, 'client')).n).toBeGreaterThanOrEqual(n);

    await migrate(stack, '--from', target);
    expect(Object.values(await placement(stack))).not.toContain(target);
    await expectSameConnection();
    await expectNoTraces(stack);
  });

  test('the snapshot of a restored and migrated stack can be restored in its turn', async () => {
    const second = await snapshot(stack);
    await stacks.remove(stack);
    await restore(second.id);
    await expectSameConnection();
    expect(await stacks.coordinate(['verify', second.id])).toMatchObject({ ok: true });
  });
});
