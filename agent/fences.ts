import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { SwarmcutError } from '../src/model/errors.ts';
import type { Directories } from '../src/model/paths.ts';
import { PRIVATE_DIRECTORY_MODE, PRIVATE_FILE_MODE } from '../src/platform/files.ts';
import type { Fence } from '../src/rpc/index.ts';

const fileSchema = z.object({ cluster: z.string(), token: z.number() });

/**
 * The last coordinator of each stack that this node has heard of: `<run>/fences/<stack>.json`. One that had the stack's lock before it gives no
 * orders any more, even if it only stood still for a while and does not know yet that another has taken over. Restarts of the agent change
 * nothing; after one of the machine there is no task left to which an old order could do anything.
 */
export class Fences {
  readonly #folder: string;
  readonly #known = new Map<string, z.infer<typeof fileSchema>>();

  constructor(directories: Pick<Directories, 'run'>) {
    this.#folder = join(directories.run, 'fences');
    mkdirSync(this.#folder, { recursive: true, mode: PRIVATE_DIRECTORY_MODE });
  }

  /** @throws SwarmcutError `conflict` for an order of a coordinator that is no longer the stack's */
  admit({ stack, cluster, token }: Fence): void {
    const known = this.#known.get(stack) ?? this.#read(stack);
    if (known?.cluster === cluster && token < known.token)
      throw new SwarmcutError(
        'conflict',
        `another coordinator has taken over stack ${stack}: this one gives no orders any more`,
        {
          where: { stack },
          advice: 'nothing was done; the other one finishes or undoes what was under way',
        },
      );
    if (known?.cluster === cluster && token === known.token) return;
    const entry = { cluster, token };
    // Without a pause from here to the end: of two calls at once, none overtakes the other.
    const file = this.#file(stack);
    writeFileSync(`${file}.new`, `${JSON.stringify(entry)}\n`, { mode: PRIVATE_FILE_MODE });
    renameSync(`${file}.new`, file);
    this.#known.set(stack, entry);
  }

  #read(stack: string): z.infer<typeof fileSchema> | undefined {
    try {
      const entry = fileSchema.parse(JSON.parse(readFileSync(this.#file(stack), 'utf8')));
      this.#known.set(stack, entry);
      return entry;
    } catch {
      return undefined;
    }
  }

  #file(stack: string): string {
    return join(this.#folder, `${encodeURIComponent(stack)}.json`);
  }
}
