import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import type { RewriteEntry } from '../../src/model/connection.ts';
import { endpointSchema } from '../../src/model/checkpoint.ts';
import type { FormerAddress } from '../../src/model/plans/former-addresses.ts';
import type { Alias } from '../../src/model/task.ts';
import { replaceFile } from '../../src/platform/files.ts';

const formerSchema = z.object({
  address: z.string(),
  to: z.array(z.string()),
  from: z.string(),
  network: z.string(),
  service: z.string(),
}) satisfies z.ZodType<FormerAddress>;

const memorySchema = z.object({
  aliases: z.array(z.object({ address: z.string(), network: z.string() })),
  rewrites: z.array(
    z.object({
      socketLocal: endpointSchema,
      socketRemote: endpointSchema,
      wireLocal: endpointSchema,
      wireRemote: endpointSchema,
      datagrams: z.boolean().default(false),
    }),
  ),
  /** What is led there (former-addresses.ts). */
  former: z.array(formerSchema).default([]),
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
    known: {
      readonly aliases: readonly Alias[];
      readonly rewrites: readonly RewriteEntry[];
      readonly former: readonly FormerAddress[];
    },
  ): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const file = this.#file(containerId);
    await replaceFile(file, JSON.stringify(known));
  }

  async recall(containerId: string): Promise<Remembered> {
    const text = await readFile(this.#file(containerId), 'utf8').catch(() => undefined);
    if (text === undefined) return { aliases: [], rewrites: [], former: [] };
    return memorySchema.parse(JSON.parse(text));
  }

  /** Previous addresses, then the present ones. */
  async aliasesOf(containerId: string, present: readonly Alias[]): Promise<Alias[]> {
    const { aliases } = await this.recall(containerId);
    const now = new Set(present.map(({ address }) => address));
    return [...aliases.filter(({ address }) => !now.has(address)), ...present];
  }

  /** The containers that something is known of. */
  async containers(): Promise<string[]> {
    return (await readdir(this.#dir).catch(() => [])).map((name) => basename(name, '.json'));
  }

  /** Forgets containers that are no more. The shim does so when the engine deletes one, but not every container comes through the shim. */
  async prune(present: ReadonlySet<string>): Promise<void> {
    for (const id of await this.containers()) if (!present.has(id)) await rm(this.#file(id), { force: true });
  }

  #file(containerId: string): string {
    return join(this.#dir, `${containerId}.json`);
  }
}
