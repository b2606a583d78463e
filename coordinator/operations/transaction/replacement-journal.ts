import { z } from 'zod';
import type { Connection, RewriteEntry } from '../../../src/model/connection.ts';
import type { FormerAddress } from '../../../src/model/plans/former-addresses.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { ClusterService, ServiceSpec } from '../../orchestrator/index.ts';

/** As the cluster gave it: only it looks inside. */
const specSchema = z.record(z.string(), z.unknown());

const entrySchema = z.object({
  name: z.string(),
  /** Of the service when the replacement began; absent if there was none: then it was to be made. */
  present: z.object({ id: z.string(), spec: specSchema }).optional(),
  /** The spec that it is to have in the end, and the generation of the new tasks. */
  spec: specSchema,
  generation: z.number().int(),
});

/** A task's container, and the node whose agent has it. */
const memberSchema = z.object({
  key: z.string(),
  node: z.string(),
  containerId: z.string(),
  /** As the cluster names it; absent where nobody needs it. */
  taskId: z.string().optional(),
});

const endpointSchema = z.object({ address: z.string(), port: z.number() });

const commitSchema = z.object({
  /** New tasks, restored and blocked. */
  released: z.array(memberSchema),
  /** Old tasks, which have confirmed that they stand still until told. */
  retired: z.array(memberSchema),
  /** What tasks that take no part must know before the new ones speak. */
  rewrites: z.array(
    memberSchema.extend({
      rewrites: z.array(
        z.object({
          socketLocal: endpointSchema,
          socketRemote: endpointSchema,
          wireLocal: endpointSchema,
          wireRemote: endpointSchema,
          datagrams: z.boolean().default(false),
        }),
      ) satisfies z.ZodType<RewriteEntry[]>,
      close: z.array(z.looseObject({})) as unknown as z.ZodType<Connection[]>,
      former: z
        .array(
          z.object({
            address: z.string(),
            to: z.array(z.string()),
            from: z.string(),
            network: z.string(),
            service: z.string(),
          }),
        )
        .default([]) satisfies z.ZodType<FormerAddress[]>,
    }),
  ),
});

const journalSchema = z.object({
  version: z.literal(1),
  /** Of the restore or migration. */
  id: z.string(),
  stack: z.string(),
  /** `replacing`: the old tasks count. `released`: the new ones do, whether they have been released already or not. This is the commit record.
   *  `over`: services are as they shall be, but some agent does not know it yet. */
  phase: z.enum(['replacing', 'released', 'over']),
  services: z.array(entrySchema),
  /** Nodes that are kept free of new tasks for a moment, while the cluster places those of the replacement. */
  reserved: z.array(z.object({ id: z.string(), hostname: z.string() })).default([]),
  /** A migration: it has a final cut of the running tasks, under its id (cut-on-disk.ts). */
  cut: z.boolean().optional(),
  /** The running tasks that are replaced. */
  old: z.array(memberSchema).default([]),
  /** What is to be done; only once it is committed. */
  commit: commitSchema.optional(),
});

export type Member = z.infer<typeof memberSchema>;
export type CommitRecord = z.infer<typeof commitSchema>;

export type ReplacementEntry = z.infer<typeof entrySchema>;
export type ReplacementRecord = z.infer<typeof journalSchema>;

/** Where the journal of a stack is kept: with its lock, so that nobody but the one who has the lock ever changes it. */
export interface JournalPlace {
  readonly journal: string | undefined;
  setJournal(journal: string | undefined): Promise<void>;
}

/**
 * What a restore or a migration is about to do to the specs of services: written before the first change, in the cluster's own state, and
 * removed when the agents, too, know that it is over. If its coordinator dies in between, the guardian or the next command on the stack, on
 * whatever manager, finds it: recovery.ts.
 */
export class ReplacementJournal {
  readonly #place: JournalPlace;

  constructor(place: JournalPlace) {
    this.#place = place;
  }

  /** When this has returned, every manager reads it. @throws LockLostError: nobody ever will; InDoubtError */
  async write(record: ReplacementRecord): Promise<void> {
    await this.#place.setJournal(JSON.stringify(record));
  }

  async remove(): Promise<void> {
    await this.#place.setJournal(undefined);
  }

  /** @throws SwarmcutError `damaged` for what cannot be understood */
  read(): ReplacementRecord | undefined {
    const text = this.#place.journal;
    if (text === undefined) return undefined;
    try {
      return journalSchema.parse(JSON.parse(text));
    } catch (cause) {
      throw new SwarmcutError('damaged', 'what a restore that was cut short has left behind cannot be read', {
        advice:
          'was it begun by another version of swarmcut? That one can finish it. Otherwise look at the services of the stack (`docker service inspect`), and take the label swarmcut.journal away from the config swarmcut-stack-<stack>',
        cause,
      });
    }
  }
}

/** What is to be done about one service after a replacement that nobody ended. */
export type Remedy =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'remove' }
  | { readonly kind: 'settle'; readonly spec: ServiceSpec }
  | { readonly kind: 'put back'; readonly spec: ServiceSpec };

/**
 * Decides from what the journal and the cluster say. A service that somebody else has changed since then is left alone: its generation is not
 * the one that the replacement gave it.
 * @param now the service as it is; undefined if it is gone
 */
export function remedyOf(
  phase: ReplacementRecord['phase'],
  entry: ReplacementEntry,
  now: ClusterService | undefined,
): Remedy {
  if (phase === 'over' || now?.generation !== entry.generation) return { kind: 'nothing' };
  // The new tasks run: putting the old generation back would replace them by empty ones.
  if (phase === 'released') return { kind: 'settle', spec: entry.spec };
  if (entry.present === undefined) return { kind: 'remove' };
  return { kind: 'put back', spec: entry.present.spec };
}
