import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { pause } from '../../../src/platform/deadlines.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { CommitRecord, Member } from './replacement-journal.ts';
import { failPoint } from '../../../src/platform/fail-points.ts';

/** An agent that does not answer is asked again for this long. Milliseconds. */
const PATIENCE_MS = 15_000;
const RETRY_MS = 200;

/** Who carries a commit out. */
export interface CommitBed {
  readonly ctx: Pick<CoordinatorContext, 'emit' | 'log'>;
  readonly restoreId: string;
  agent(node: string): AgentClient;
  /** Whether the cluster sees a container running already: an agent that was restarted has forgotten that it was released. */
  runs(containerId: string): Promise<boolean>;
}

/** Restored tasks could not be released, for now or for ever; their old ones stand still. */
export class NotReleased extends SwarmcutError {
  readonly members: readonly Member[];

  constructor(failures: ReadonlyMap<Member, string>) {
    super('failed', `restored tasks cannot be released yet: ${[...failures.values()].join(', ')}`, {
      advice: 'the restore is committed, and it is tried again: by the guardian, and by the next command on the stack',
    });
    this.members = [...failures.keys()];
  }
}

/**
 * Does what a commit record says: the new tasks run, the old ones end. Nothing of it is ever undone, and all of it can be done again.
 * @throws NotReleased naming the new tasks that could not be released; their old ones stay frozen
 */
export async function carryOut(commit: CommitRecord, bed: CommitBed): Promise<void> {
  const { restoreId, ctx } = bed;
  await failPoint('coordinator.carry-out');
  await Promise.all(
    commit.rewrites.map(({ key, node, containerId, rewrites, close, former }) =>
      patiently(() => bed.agent(node).rewrite({ restoreId, containerId, rewrites, close, former })).catch(
        (error: unknown) =>
          ctx.emit({ kind: 'warning', message: `${key} on ${node} has lost connections: ${messageOf(error)}` }),
      ),
    ),
  );
  const failures = new Map<Member, string>();
  await Promise.all(
    commit.released.map((member) =>
      release(member, bed).then(
        () => ctx.emit({ kind: 'step-done', task: member.key, step: 'run' }),
        (error: unknown) => void failures.set(member, `${member.key} on ${member.node} (${messageOf(error)})`),
      ),
    ),
  );
  await failPoint('coordinator.retire');
  // A restored task may have the slot of another one, so that only those of which the successor surely runs are retired while some do not.
  const successors = new Set(commit.released.filter((member) => !failures.has(member)).map(({ key }) => key));
  await Promise.all(
    commit.retired
      .filter(({ key }) => failures.size === 0 || successors.has(key))
      .map(async ({ key, node, containerId }) => {
        try {
          await patiently(() => bed.agent(node).retire({ restoreId, containerId }));
        } catch (error) {
          // It stands still, and the engine's next `kill` ends it.
          ctx.log.warn({ key, node, reason: messageOf(error) }, 'an old task could not be told that it has moved');
        }
      }),
  );
  if (failures.size > 0) throw new NotReleased(failures);
}

async function release({ node, containerId }: Member, bed: CommitBed): Promise<void> {
  try {
    await patiently(() => bed.agent(node).releaseRestored({ restoreId: bed.restoreId, containerId }));
  } catch (error) {
    if (!(await bed.runs(containerId).catch(() => false))) throw error;
  }
}

/** Again while the agent does not answer: it may be restarting. */
async function patiently(call: () => Promise<unknown>): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      await call();
      return;
    } catch (error) {
      const away = error instanceof SwarmcutError && error.code === 'unreachable';
      if (!away || performance.now() > until) throw error;
      await pause(RETRY_MS);
    }
  }
}
