import { describe, expect, test, vi } from 'vitest';
import { reachableAgents, refuseLeftOut } from '../../../../coordinator/operations/relocation/reach.ts';
import type { CoordinatorContext } from '../../../../coordinator/operations/index.ts';
import type { ClusterSession } from '../../../../coordinator/operations/session/session.ts';

const INFO = { engine: '26.1.5', shimInstalled: true };
/** Nodes, and what the agent of each answers; undefined: it does not. */
const NODES: Readonly<Record<string, object | undefined>> = {
  n3: INFO,
  n1: INFO,
  n2: undefined,
  n4: { engine: '', shimInstalled: false },
  n5: { engine: '26.1.5', shimInstalled: false },
};

async function reach(): Promise<Awaited<ReturnType<typeof reachableAgents>>> {
  const of = (node: string) => ({
    node,
    info: () =>
      NODES[node] === undefined ? Promise.reject(new Error('it does not answer')) : Promise.resolve(NODES[node]),
  });
  const nodes = [
    ...Object.keys(NODES).map((hostname) => ({ hostname, state: 'ready' })),
    { hostname: 'n6', state: 'down' },
  ];
  const ctx = { emit: vi.fn() } as unknown as CoordinatorContext;
  return reachableAgents(ctx, { nodes, agents: { of } } as unknown as ClusterSession);
}

describe('nodes on which a restored task can start', () => {
  test('are those whose agent, engine and shim are there; of the others it is known why not', async () => {
    const { agents, leftOut } = await reach();
    expect(agents.map(({ node }) => node)).toEqual(['n1', 'n3']);
    expect([...leftOut.keys()]).toEqual(['n2', 'n4', 'n5']);
    expect(Object.fromEntries(leftOut)).toEqual({
      n2: 'it does not answer',
      n4: 'its engine does not answer',
      n5: 'the shim is not the default runtime there (`agent install`)',
    });
  });

  test.each([
    ['n2', 'bank_a cannot go to n2: it does not answer'],
    ['n4', 'bank_a cannot go to n4: its engine does not answer'],
    ['n6', 'bank_a cannot go to n6: Swarm does not call it ready'],
  ])('a service that must go to %s is refused: it would start empty there', async (node, message) => {
    const reachable = await reach();
    const refuse = (): void =>
      refuseLeftOut(
        [
          ['bank_b', 'n1'],
          ['bank_a', node],
        ],
        reachable,
      );
    expect(refuse).toThrow(
      expect.objectContaining({ code: 'unreachable', message, where: { node, service: 'bank_a' } }) as Error,
    );
  });

  test('one that may go where it can is not', () => {
    expect(() =>
      refuseLeftOut([['bank_a', 'n3']], { agents: [{ node: 'n3' }] as never, leftOut: new Map() }),
    ).not.toThrow();
  });
});
