import { describe, expect, it } from 'vitest';
import type { CoordinatorContext } from '../../../../coordinator/operations/session/context.ts';
import type { ClusterSession } from '../../../../coordinator/operations/session/session.ts';
import { nothingStarts, startingText } from '../../../../coordinator/operations/transaction/starting.ts';
import type { StartingTask } from '../../../../coordinator/orchestrator/index.ts';

const ctx = { log: { warn: () => undefined } } as unknown as CoordinatorContext;
const made = new Map([['s', new Set([4])]]);
const task = (wanted: boolean, current = false): StartingTask => ({
  ...{ taskId: 't', serviceId: 's', slot: '1', node: 'n1', wanted, current },
  text: 'bank_a.1 on n1 (preparing)',
});

/** What the cluster says, look after look (the last for ever), and what waits on n1 then; undefined: its agent is away. */
async function look(looks: readonly StartingTask[][], waiting: readonly (string[] | undefined)[], slot?: string) {
  let index = -1;
  const at = <T>(all: readonly T[]): T | undefined => all[Math.min(index, all.length - 1)];
  const session = {
    nodes: [],
    cluster: { startingTasks: () => (index++, Promise.resolve(at(looks))) },
  } as unknown as ClusterSession;
  const listRestores = () => {
    const now = at(waiting);
    if (now === undefined) return Promise.reject(new Error('away'));
    return Promise.resolve({ restores: [{ restoreId: 'r1', stack: 'bank', waiting: now }] });
  };
  const agents = [{ node: 'n1', listRestores }] as never;
  const released = slot === undefined ? [] : [{ taskId: 'restored', serviceId: 's', slot }];
  const open = await nothingStarts(ctx, session, { id: 'r1', stack: 'bank', made, released, agents }, 200);
  return { open, looks: index + 1 };
}

describe('nothing starts any more that is not to, when', () => {
  it('the cluster has ended it', async () => {
    expect(await look([[task(true)], [task(false)], []], [[]])).toEqual({ open: [], looks: 3 });
  });

  it('it is not wanted, and its container waits for the agent', async () => {
    expect(await look([[task(true)], [task(false)], [task(false)]], [['t'], [], ['t']])).toEqual({
      open: [],
      looks: 3,
    });
  });

  it('its agent is away, and goes on expecting it', async () => {
    expect(await look([[task(false)]], [undefined])).toEqual({ open: [], looks: 1 });
  });

  it('it is an ordinary one, made as the service is now', async () => {
    expect(await look([[task(true, true)]], [[]])).toEqual({ open: [], looks: 1 });
    expect(await look([[task(true, true)]], [[]], '2')).toEqual({ open: [], looks: 1 });
  });

  it('it was made for the slot of a released one, and was given up', async () => {
    expect(await look([[task(true, true)], [task(false, true)], []], [['t'], [], []], '1')).toEqual({
      open: [],
      looks: 3,
    });
  });

  it('or is told when the cluster wants it for long', async () => {
    const { open } = await look([[task(true)]], [['t']]);
    expect(startingText('r1', open)).toContain('bank_a.1 on n1 (preparing)');
    // The nodes know that it is not to start.
    expect((await look([[task(false)]], [[]])).open).toEqual([]);
  });
});
