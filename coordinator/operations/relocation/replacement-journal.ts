import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { syncDirectory, writeDurably } from '../../../src/platform/files.ts';
import type { CoordinatorContext } from '../session/context.ts';
import type { ClusterSession } from '../session/session.ts';
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

const journalSchema = z.object({
  version: z.literal(1),
  /** Of the restore or migration. */
  id: z.string(),
  stack: z.string(),
  /** `replacing`: the old tasks count. `released`: the new tasks run. */
  phase: z.enum(['replacing', 'released']),
  services: z.array(entrySchema),
});

export type ReplacementEntry = z.infer<typeof entrySchema>;
export type ReplacementRecord = z.infer<typeof journalSchema>;

/**
 * What a restore or a migration is about to do to the specs of services: `<state>/replacements/<stack>.json`, written before the first change
 * and removed after the last. If its coordinator dies in between, the next command on the stack finds it.
 */
export class ReplacementJournal {
  readonly #file: string;
  readonly #directory: string;

  constructor(stateDir: string, stack: string) {
    this.#directory = join(stateDir, 'replacements');
    this.#file = join(this.#directory, `${encodeURIComponent(stack)}.json`);
  }

  async write(record: ReplacementRecord): Promise<void> {
    await writeDurably(this.#file, `${JSON.stringify(record)}\n`);
  }

  async remove(): Promise<void> {
    await rm(this.#file, { force: true });
    await syncDirectory(this.#directory).catch(() => undefined);
  }

  /** @throws SwarmcutError `damaged` for a file that cannot be understood */
  async read(): Promise<ReplacementRecord | undefined> {
    const text = await readFile(this.#file, 'utf8').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) return undefined;
    try {
      return journalSchema.parse(JSON.parse(text));
    } catch (cause) {
      throw new SwarmcutError('damaged', 'what a restore that was cut short has left behind cannot be read', {
        where: { file: this.#file },
        advice:
          'look at the services of the stack (`docker service inspect`) for constraints that are not yours, then remove the file',
        cause,
      });
    }
  }
}

/** What is to be done about one service after a replacement that nobody ended. */
export type Remedy =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'remove' }
  | { readonly kind: 'settle'; readonly spec: ServiceSpec; readonly generation: number }
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
  if (now?.generation !== entry.generation) return { kind: 'nothing' };
  // The new tasks run: putting the old generation back would replace them by empty ones.
  if (phase === 'released') return { kind: 'settle', spec: entry.spec, generation: entry.generation };
  if (entry.present === undefined) return { kind: 'remove' };
  return { kind: 'put back', spec: entry.present.spec };
}

/**
 * Puts the services of a stack back if a coordinator was killed in the middle of a restore or a migration. Call with the stack's lock held:
 * then nobody is at it.
 * @returns true if something was changed, so that what was read of the stack before is no longer true
 */
export async function putServicesBack(
  ctx: CoordinatorContext,
  session: ClusterSession,
  stack: string,
): Promise<boolean> {
  const journal = new ReplacementJournal(ctx.directories.state, stack);
  const record = await journal.read();
  if (record === undefined) return false;
  ctx.log.warn({ id: record.id, phase: record.phase }, 'putting services back after a coordinator that is gone');
  const { cluster } = session;
  const failed: string[] = [];
  for (const entry of record.services) {
    try {
      const now = await cluster.service(entry.present?.id ?? entry.name);
      const remedy = remedyOf(record.phase, entry, now);
      if (now === undefined || remedy.kind === 'nothing') continue;
      if (remedy.kind === 'remove') await cluster.remove(now.id);
      else if (remedy.kind === 'settle') await cluster.settle(now.id, remedy.spec, remedy.generation);
      else await cluster.putBack(now.id, remedy.spec);
      ctx.emit({
        kind: 'warning',
        message: `service ${entry.name} ${remedy.kind === 'remove' ? 'was removed' : 'has its settings back'}: ${record.id} was cut short`,
      });
    } catch (error) {
      failed.push(`${entry.name} (${messageOf(error)})`);
    }
  }
  if (failed.length > 0) {
    throw new SwarmcutError(
      'failed',
      `services cannot be put back after ${record.id} was cut short: ${failed.join(', ')}`,
      {
        where: { stack },
        advice: 'run the command again',
      },
    );
  }
  await journal.remove();
  return true;
}
