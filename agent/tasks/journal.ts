import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../../src/platform/files.ts';

const entrySchema = z.object({
  containerId: z.string(),
  pid: z.number().int().positive(),
  /** Snapshot or restore id on whose behalf. */
  owner: z.string(),
  stageDir: z.string().optional(),
  /** Frozen, and only its holder knows whether its successor runs: a restarted agent must not let it go. */
  inDoubt: z.boolean().optional(),
  /** Of one in doubt: its engine does not answer for it while a stop of it waits. */
  health: z
    .object({ args: z.array(z.string()), unhealthy: z.boolean(), timeoutMs: z.number(), verdictMs: z.number() })
    .optional(),
});
/** A task in which this agent has something attached, or which it blocks or has frozen. */
export type JournalEntry = z.infer<typeof entrySchema>;

/**
 * What a restarted agent must know: in which tasks its predecessor had attached something, and which it blocked and froze. Lies in the run
 * directory, since a reboot ends every task anyway. Written before anything is attached, deleted when all is detached.
 */
export class Journal {
  readonly #dir: string;

  constructor(runDir: string) {
    this.#dir = join(runDir, 'journal');
  }

  async note(entry: JournalEntry): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const file = this.#file(entry.containerId);
    await replaceFile(file, JSON.stringify(entry));
  }

  async forget(containerId: string): Promise<void> {
    await rm(this.#file(containerId), { force: true });
  }

  /** Everything noted and not forgotten. Files that cannot be understood are deleted: they were never whole. */
  async entries(): Promise<JournalEntry[]> {
    const names = await readdir(this.#dir).catch(() => []);
    const entries: JournalEntry[] = [];
    for (const name of names) {
      const file = join(this.#dir, name);
      const parsed = entrySchema.safeParse(parse(await readFile(file, 'utf8').catch(() => '')));
      if (parsed.success && name.endsWith('.json')) entries.push(parsed.data);
      else await rm(file, { force: true });
    }
    return entries;
  }

  #file(containerId: string): string {
    return join(this.#dir, `${containerId}.json`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
