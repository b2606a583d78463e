import { describe, expect, it } from 'vitest';
import type { CoordinatorContext } from '../../../../coordinator/operations/session/context.ts';
import type { ClusterSession } from '../../../../coordinator/operations/session/session.ts';
import { confirmUndone, unconfirmedText } from '../../../../coordinator/operations/transaction/undone.ts';

const ctx = { log: { warn: () => undefined } } as unknown as CoordinatorContext;
const undone = new Map([['s', new Set([4])]]);
const task = (wanted: boolean, node = 'n1') => ({ taskId: 't', text: `bank_a.1 on ${node} (preparing)`, node, wanted });

/** What the cluster says, look after look (the last for ever), and what waits on n1 then; undefined: its agent is away. */
async function confirm(
  looks: readonly (readonly ReturnType<typeof task>[])[],
  waiting: readonly (string[] | undefined)[],
) {
  let look = -1;
  const session = {
    nodes: [],
    cluster: { undoneTasks: () => Promise.resolve(looks[Math.min(++look, looks.length - 1)]) },
  } as unknown as ClusterSession;
  const listRestores = () => {
    const now = waiting[Math.min(look, waiting.length - 1)];
    return now === undefined
      ? Promise.reject(new Error('away'))
      : Promise.resolve({ restores: [{ restoreId: 'r1', stack: 'bank', waiting: now }] });
  };
  const agents = [{ node: 'n1', listRestores }] as never;
  const open = await confirmUndone(ctx, session, { id: 'r1', stack: 'bank', undone, agents }, 200);
  return { open, looks: look + 1 };
}

describe('no new task of an undone replacement starts when', () => {
  it('the cluster has ended it', async () => {
    expect(await confirm([[task(true)], [task(false)], []], [[]])).toEqual({ open: [], looks: 3 });
  });

  it('it is not wanted, and its container waits for the agent', async () => {
    expect(await confirm([[task(true)], [task(false)], [task(false)]], [['t'], [], ['t']])).toEqual({
      open: [],
      looks: 3,
    });
  });

  it('its agent is away, and goes on expecting it', async () => {
    expect(await confirm([[task(false)]], [undefined])).toEqual({ open: [], looks: 1 });
  });

  it('else it is told which may yet start', async () => {
    const { open } = await confirm([[task(false)]], [[]]);
    expect(unconfirmedText(open)).toContain('bank_a.1 on n1 (preparing)');
    expect((await confirm([[task(true)]], [['t']])).open).toHaveLength(1);
  });
});
