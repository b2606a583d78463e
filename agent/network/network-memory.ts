import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import type { RewriteEntry } from '../../src/model/connection.ts';
import { endpointSchema } from '../../src/model/checkpoint.ts';
import type { Alias } from '../../src/model/task.ts';
import { replaceFile } from '../../src/platform/files.ts';

const memorySchema = z.object({
  aliases: z.array(z.object({ address: z.string(), network: z.string() })),
  rewrites: z.array(
    z.object({
      socketLocal: endpointSchema,
      socketRemote: endpointSchema,
      wireLocal: endpointSchema,
      wireRemote: endpointSchema,
    }),
  ),
});
type Remembered = z.infer<typeof memorySchema>;

/**
 * What must be known of a container's connections beyond what its sockets say: by which network's addresses they go, and how they are
 * rewritten. `<run>/network/<container>.json`; removed when the engine deletes the container (agent/runtime/shim/shim.sh), or by {@link prune}.
 */
export class NetworkMemory {
  readonly #dir: string;

  constructor(runDir: string) {
    this.#dir = join(runDir, 'network');
  }

  async remember(
    containerId: string,
    known: Remembered | { aliases: readonly Alias[]; rewrites: readonly RewriteEntry[] },
  ): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const file = this.#file(containerId);
    await replaceFile(file, JSON.stringify(known));
  }

  async recall(containerId: string): Promise<Remembered> {
    const text = await readFile(this.#file(containerId), 'utf8').catch(() => undefined);
    if (text === undefined) return { aliases: [], rewrites: [] };
    return memorySchema.parse(JSON.parse(text));
  }

  /** Previous addresses, then the present ones. */
  async aliasesOf(containerId: string, present: readonly Alias[]): Promise<Alias[]> {
    const { aliases } = await this.recall(containerId);
    const now = new Set(present.map(({ address }) => address));
    return [...aliases.filter(({ address }) => !now.has(address)), ...present];
  }

  /** Forgets containers that are no more. The shim does so when the engine deletes one, but not every container comes through the shim. */
  async prune(present: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#dir).catch(() => []))
      if (!present.has(basename(name, '.json'))) await rm(join(this.#dir, name), { force: true });
  }

  #file(containerId: string): string {
    return join(this.#dir, `${containerId}.json`);
  }
}
