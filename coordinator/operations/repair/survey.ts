import { messageOf } from '../../../src/model/errors.ts';
import { holderText, readStackLocks } from '../../../src/storage/locks.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { LeftoverItem, RepairReport } from '../session/reports.ts';
import type { ClusterSession } from '../session/session.ts';
import { hasEndedHere } from '../lock/holder.ts';
import { textOf } from '../lock/stack-lock.ts';
import { STACK_RECORD, fromRecord, type LockState } from '../lock/state.ts';
import { ReplacementJournal } from '../transaction/replacement-journal.ts';

/** What the coordinator keeps for itself lies on no node that it names. */
export const HERE = 'coordinator';

/** Kinds that are settled by finishing the stack's operation, as the next command on it would. */
export const UNFINISHED: ReadonlySet<string> = new Set([
  'operation cut short',
  'round not settled',
  'expected restore',
  'lock',
]);

/** Longest time that an agent may take for its look. Milliseconds. */
const LOOK_MS = 60_000;

/** Everything that operations have left, here and on the nodes. Changes nothing. */
export async function survey(ctx: CoordinatorContext, session: ClusterSession): Promise<RepairReport> {
  const locks = await readStackLocks(ctx.directories.run);
  const records = await stackRecords(session);
  const busy = new Map([
    ...(await elsewhere(session, records)),
    ...locks.filter(({ held }) => held).map(({ stack, holder }) => [stack, holderText(stack, holder)] as const),
  ]);
  const unreached: { node: string; error: string }[] = [];
  const onNodes = await Promise.all(
    session.nodes
      .toSorted((a, b) => a.hostname.localeCompare(b.hostname))
      .map(async ({ hostname }): Promise<LeftoverItem[]> => {
        try {
          return await ofNode(ctx, session, hostname);
        } catch (error) {
          ctx.signal.throwIfAborted();
          unreached.push({ node: hostname, error: messageOf(error) });
          return [];
        }
      }),
  );
  const here: LeftoverItem[] = locks
    .filter(({ held }) => !held)
    .map(({ stack, file, holder }) => {
      const detail = `of a ${holder?.command ?? 'command'} (id ${holder?.id ?? ''}, process ${holder?.pid ?? ''}) that is no more`;
      return { node: HERE, kind: 'lock', subject: file, detail, stack, state: 'left' };
    });
  here.push(...journals(records));
  // A stack whose command is at work: nothing of it is left over.
  const items = [...here, ...onNodes.flat()].map((item): LeftoverItem => {
    const why = busy.get(item.stack);
    return why === undefined ? item : { ...item, state: 'in use', why };
  });
  return { items, unreached };
}

/** What the cluster itself knows of a stack, or why it cannot be understood. */
interface StackRecord {
  readonly stack: string;
  readonly state: LockState | Error;
}

async function stackRecords({ cluster }: ClusterSession): Promise<StackRecord[]> {
  const records = await cluster.records.all(STACK_RECORD);
  return records.map(({ name, value }) => {
    const stack = name.slice(STACK_RECORD.length);
    try {
      return { stack, state: fromRecord(value) };
    } catch (error) {
      return { stack, state: error instanceof Error ? error : new Error(messageOf(error)) };
    }
  });
}

/** Stacks that a command is at work on, on whatever manager, and which. */
async function elsewhere({ cluster }: ClusterSession, records: readonly StackRecord[]): Promise<[string, string][]> {
  const self = await cluster.self();
  return records.flatMap(({ stack, state }): [string, string][] => {
    if (state instanceof Error || state.holder === undefined || hasEndedHere(self, state.holder)) return [];
    return [[stack, textOf(state.holder, { stack })]];
  });
}

function journals(records: readonly StackRecord[]): LeftoverItem[] {
  return records.flatMap(({ stack, state: known }): LeftoverItem[] => {
    const common = { node: HERE, kind: 'operation cut short', stack, state: 'left' } as const;
    if (known instanceof Error) return [{ ...common, subject: stack, detail: known.message }];
    if (known.journal === undefined) return [];
    try {
      const record = new ReplacementJournal({ journal: known.journal, setJournal: () => Promise.resolve() }).read();
      if (record === undefined) return [];
      const { id, phase, reserved } = record;
      const text = {
        replacing: 'the old tasks count',
        released: 'the new tasks count',
        over: 'some agent does not know yet that it is over',
      }[phase];
      const names = reserved.map(({ hostname }) => hostname);
      const paused = names.length === 0 ? '' : `; kept free of new tasks: ${names.join(', ')}`;
      return [{ ...common, subject: id, detail: `of stack ${stack}: ${text}${paused}` }];
    } catch (error) {
      return [{ ...common, subject: stack, detail: messageOf(error) }];
    }
  });
}

async function ofNode(ctx: CoordinatorContext, session: ClusterSession, node: string): Promise<LeftoverItem[]> {
  const agent = session.agents.of(node);
  const options = { signal: ctx.signal, deadlineMs: LOOK_MS };
  const [{ snapshots }, { restores }, { leftovers }] = await Promise.all([
    agent.listSnapshots({}, options),
    agent.listRestores({}, options),
    agent.leftovers({ clear: [] }, options),
  ]);
  const rounds = snapshots
    .filter(({ state }) => state !== 'permanent')
    .map(({ snapshotId, stack, state }): LeftoverItem => {
      const detail = `snapshot of stack ${stack}, ${state}`;
      return { node, kind: 'round not settled', subject: snapshotId, detail, stack, state: 'left' };
    });
  const expected = restores.map(({ restoreId, stack }): LeftoverItem => {
    const detail = `containers of stack ${stack} would wait for it`;
    return { node, kind: 'expected restore', subject: restoreId, detail, stack, state: 'left' };
  });
  const found = leftovers.map(({ kind, subject, detail, stack, inUse }): LeftoverItem => {
    const common = { node, kind, subject, detail, stack };
    return inUse === '' ? { ...common, state: 'left' } : { ...common, state: 'in use', why: inUse };
  });
  return [...rounds, ...expected, ...found];
}
