import { messageOf } from '../../src/model/errors.ts';
import type { LeftoversReply } from '../../src/rpc/generated/swarmcut/LeftoversReply.ts';
import type { Logger } from '../../src/platform/logger.ts';
import type { Ledger } from '../checkpoints/store/index.ts';
import { filesLeft, type FileParts } from './files.ts';
import { keyOf, type Leftover } from './leftover.ts';
import { tasksLeft, type TaskParts } from './tasks.ts';

export interface RepairOptions extends Omit<TaskParts, 'runDir'>, FileParts {
  readonly containers: TaskParts['containers'] & FileParts['containers'];
  readonly sidecars: TaskParts['sidecars'] & FileParts['sidecars'];
  readonly ledger: Pick<Ledger, 'strays' | 'sweep'>;
  readonly log: Logger;
}

/** Parts that nobody names are told as one: there may be thousands. */
const PARTS_SHOWN = 3;

/**
 * What operations that are over have left on this node, found and cleared. What this agent holds for an operation that it knows of is never
 * among it. Whether an operation is under way that this agent no longer knows of, only the coordinator can say: it has the stacks' locks.
 */
export class Repair {
  readonly #options: RepairOptions;

  constructor(options: RepairOptions) {
    this.#options = options;
  }

  /** @param clear keys of what is to be cleared: what was shown to whoever decided it, and nothing else */
  async run(clear: readonly string[]): Promise<Pick<LeftoversReply, 'leftovers'>> {
    const wanted = new Set(clear);
    const leftovers = [];
    // Tasks first: what goes on by itself then needs no file any more.
    for (const leftover of await this.#find()) {
      const { kind, subject, detail, stack, inUse } = leftover;
      const result = { cleared: false, problem: '' };
      if (inUse === undefined && wanted.has(keyOf(leftover))) {
        try {
          await leftover.clear();
          result.cleared = true;
          this.#options.log.warn({ kind, subject, detail }, 'cleared a leftover');
        } catch (error) {
          result.problem = messageOf(error);
          this.#options.log.error({ kind, subject, reason: result.problem }, 'cannot clear a leftover');
        }
      }
      leftovers.push({ kind, subject, detail, stack: stack ?? '', inUse: inUse ?? '', ...result });
    }
    return { leftovers };
  }

  async #find(): Promise<Leftover[]> {
    const { directories } = this.#options;
    const [tasks, files, parts] = await Promise.all([
      tasksLeft({ ...this.#options, runDir: directories.run }),
      filesLeft(this.#options),
      this.#parts(),
    ]);
    return [...tasks, ...files, ...parts];
  }

  async #parts(): Promise<Leftover[]> {
    const { ledger, directories } = this.#options;
    const { hashes, unknown } = await ledger.strays();
    if (hashes.length === 0) return [];
    const shown = hashes.slice(0, PARTS_SHOWN).map((hash) => hash.slice(0, 12));
    const detail = `${hashes.length} that no ledger names: ${shown.join(', ')}${hashes.length > PARTS_SHOWN ? ' …' : ''}`;
    const inUse = unknown === undefined ? undefined : `what ${unknown} names is not known: put it back, or remove it`;
    const subject = `${directories.state}/parts`;
    return [{ kind: 'part', subject, detail, inUse, clear: () => ledger.sweep(hashes) }];
  }
}
