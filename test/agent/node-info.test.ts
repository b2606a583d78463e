import { expect, test } from 'vitest';
import { NodeInfo } from '../../agent/node-info.ts';
import type { Preflight } from '../../agent/preflight/index.ts';

/** What is found at each look: whether the engine answers, and the shim is its default runtime. */
function nodeThatFinds(...engines: readonly boolean[]): { info: NodeInfo; looks: () => number } {
  let looks = 0;
  const look = (): Promise<Preflight> => {
    const there = engines[looks++] ?? true;
    const facts = { engine: there ? '26.1.5' : '', shimInstalled: there };
    return Promise.resolve({ facts, checks: [] } as unknown as Preflight);
  };
  const options = { directories: {}, node: 'n1', dockerSocket: '/none', log: {} };
  return { info: new NodeInfo(options as ConstructorParameters<typeof NodeInfo>[0], look), looks: () => looks };
}

test('what was found is used again, for a while', async () => {
  const { info, looks } = nodeThatFinds();
  expect(await info.info(false)).toMatchObject({ engine: '26.1.5', shimInstalled: true });
  expect(await info.info(false)).toMatchObject({ shimInstalled: true });
  expect(looks()).toBe(1);
  await info.info(true);
  expect(looks()).toBe(2);
});

test('that its engine did not answer is forgotten at once: it may be starting', async () => {
  const { info, looks } = nodeThatFinds(false, true);
  expect(await info.info(true)).toMatchObject({ engine: '', shimInstalled: false });
  expect(await info.info(false)).toMatchObject({ engine: '26.1.5', shimInstalled: true });
  expect(looks()).toBe(2);
});
