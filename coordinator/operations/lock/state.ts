import { gunzipSync, gzipSync } from 'node:zlib';
import { z } from 'zod';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { RecordValue } from '../../orchestrator/index.ts';

const holderSchema = z.object({
  /** Of this one acquisition: nobody else has it. */
  nonce: z.string(),
  /** Host name and id of the manager. */
  node: z.string(),
  nodeId: z.string(),
  /** Boot of the machine and pid namespace: whether a process number means something to whoever reads this. */
  machine: z.string(),
  pid: z.number().int(),
  /** When the process began, in ticks since boot: numbers are used again. */
  started: z.string(),
  /** `snapshot`, `restore`, `migration` … */
  command: z.string(),
  /** Of the snapshot, restore or migration. */
  id: z.string(),
  /** ISO 8601, by the holder's clock: for people only. */
  since: z.string(),
  /** The lease ends when the record has stayed unchanged for so long. */
  leaseMs: z.number().int().positive(),
});
/** Who has a lock. */
export type LockHolder = z.infer<typeof holderSchema>;

const lockSchema = z.object({
  schemaVersion: z.literal(1),
  /** Absent: nobody. */
  holder: holderSchema.optional(),
  /** Counts what the holder has written: by it, it knows its own writes again. */
  writes: z.number().int(),
  /** Of the last round, whoever ran it. */
  epoch: z.number().int().nonnegative(),
});

const commitSchema = z.object({
  /** Of a snapshot. */
  id: z.string(),
  /** Nodes whose agents do not know yet, or may not know, that it is permanent. */
  nodes: z.array(z.string()),
});
/** A snapshot that is committed: from the moment in which this is written, it exists. */
export type CommittedSnapshot = z.infer<typeof commitSchema>;

/** What all managers know of a lock, and of what is done under it. */
export interface LockState {
  readonly holder: LockHolder | undefined;
  readonly writes: number;
  readonly epoch: number;
  readonly commits: readonly CommittedSnapshot[];
  /** A restore or migration that is not over, as JSON (transaction/replacement-journal.ts). */
  readonly journal: string | undefined;
}

export const NO_STATE: LockState = { holder: undefined, writes: 0, epoch: 0, commits: [], journal: undefined };

/** Of the record of a stack. */
export const STACK_RECORD = 'stack-';

/** Labels of the record. */
const LOCK = 'swarmcut.lock';
const COMMITS = 'swarmcut.committed';
const JOURNAL = 'swarmcut.journal';

/** As much as a record of Swarm takes, with room for the rest. Characters. */
const JOURNAL_LIMIT = 900_000;

/** @throws SwarmcutError `precondition` when the journal is too long to be kept */
export function toRecord({ holder, writes, epoch, commits, journal }: LockState): RecordValue {
  const lock: z.infer<typeof lockSchema> = {
    schemaVersion: 1,
    ...(holder === undefined ? {} : { holder }),
    writes,
    epoch,
  };
  return {
    [LOCK]: JSON.stringify(lock),
    ...(commits.length === 0 ? {} : { [COMMITS]: JSON.stringify(commits) }),
    ...(journal === undefined ? {} : { [JOURNAL]: packed(journal) }),
  };
}

/** @throws SwarmcutError `damaged` for what cannot be understood */
export function fromRecord(value: RecordValue): LockState {
  try {
    const lock = lockSchema.parse(JSON.parse(value[LOCK] ?? ''));
    const commits = z.array(commitSchema).parse(JSON.parse(value[COMMITS] ?? '[]'));
    const journal = value[JOURNAL];
    return {
      holder: lock.holder,
      writes: lock.writes,
      epoch: lock.epoch,
      commits,
      journal: journal === undefined ? undefined : gunzipSync(Buffer.from(journal, 'base64')).toString('utf8'),
    };
  } catch (cause) {
    throw new SwarmcutError('damaged', "the lock in the cluster's state cannot be read", {
      advice:
        '`docker config ls` shows it (swarmcut-stack-<stack>); was it written by another version of swarmcut? Update this one, or, if no command runs and none was cut short, remove it',
      cause,
    });
  }
}

function packed(journal: string): string {
  const text = gzipSync(journal).toString('base64');
  if (text.length <= JOURNAL_LIMIT) return text;
  throw new SwarmcutError(
    'precondition',
    `what must be written down of this operation is too long for the cluster's state: ${text.length} of ${JOURNAL_LIMIT} characters`,
    { advice: 'restore or migrate fewer services at a time' },
  );
}
