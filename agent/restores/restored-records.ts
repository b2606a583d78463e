import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../src/platform/files.ts';
import type { NetworkPlan__Output } from '../../src/rpc/generated/swarmcut/NetworkPlan.ts';
import type { CreateRequest } from '../runtime/shim/protocol.ts';

/** What must be known to release a restored container. */
export interface RestoredRecord {
  readonly restoreId: string;
  readonly request: CreateRequest;
  readonly plan: NetworkPlan__Output;
}

/**
 * Containers that are restored and wait for their release: `<run>/released-later/<container>.json`. An agent that starts again must be able to
 * release them: the restore may be committed, and then nobody else has their state. In the run directory, since a reboot ends them.
 */
export class RestoredRecords {
  readonly #dir: string;

  constructor(runDir: string) {
    this.#dir = join(runDir, 'released-later');
  }

  async note(record: RestoredRecord): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await replaceFile(this.#file(record.request.containerId), JSON.stringify(record));
  }

  async forget(containerId: string): Promise<void> {
    await rm(this.#file(containerId), { force: true });
  }

  /** Everything noted and not forgotten; written whole or not at all. */
  async all(): Promise<RestoredRecord[]> {
    const names = await readdir(this.#dir).catch(() => []);
    return Promise.all(
      names
        .filter((name) => name.endsWith('.json'))
        .map(async (name) => JSON.parse(await readFile(join(this.#dir, name), 'utf8')) as RestoredRecord),
    );
  }

  #file(containerId: string): string {
    return join(this.#dir, `${containerId}.json`);
  }
}
