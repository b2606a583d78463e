import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PROXY_ALGORITHMS } from '../../src/algorithms/index.ts';
import { LABELS } from '../../src/config/labels.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import type { Directories } from '../../src/model/paths.ts';
import { writeDurably } from '../../src/platform/files.ts';

const registrationSchema = z.object({ stack: z.string(), services: z.array(z.string()) });

/** What may stand in a path. Swarm's names are like that. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/**
 * Which services get sidecars: those that `coordinator attach` has named, and those whose containers say so by a label. The former lie in
 * `<state>/sidecars/<stack>.json`; for the shim, which must not start anything to look at them, there is a marker `<run>/sidecar/<service>` each.
 */
export class Registrations {
  readonly #dir: string;
  readonly #markers: string;
  readonly #stacks = new Map<string, readonly string[]>();

  constructor(directories: Pick<Directories, 'state' | 'run'>) {
    this.#dir = join(directories.state, 'sidecars');
    this.#markers = join(directories.run, 'sidecar');
  }

  /** Reads what earlier agents were told, and makes the markers again. @returns files that cannot be understood; they are left alone */
  async open(): Promise<string[]> {
    const damaged: string[] = [];
    for (const name of await readdir(this.#dir).catch(() => [])) {
      if (!name.endsWith('.json')) continue;
      const file = join(this.#dir, name);
      try {
        const { stack, services } = registrationSchema.parse(JSON.parse(await readFile(file, 'utf8')));
        this.#stacks.set(stack, services);
      } catch {
        damaged.push(file);
      }
    }
    this.#mark();
    return damaged;
  }

  /** Replaces what was said of the stack. On disk when this resolves. */
  async set(stack: string, services: readonly string[]): Promise<void> {
    for (const name of [stack, ...services])
      if (!NAME.test(name)) throw new SwarmcutError('usage', `"${name}" is not the name of a stack or service`);
    await writeDurably(join(this.#dir, `${stack}.json`), JSON.stringify({ stack, services }));
    this.#stacks.set(stack, [...services]);
    this.#mark();
  }

  async remove(stack: string): Promise<void> {
    if (!this.#stacks.delete(stack)) return;
    await rm(join(this.#dir, `${stack}.json`), { force: true });
    this.#mark();
  }

  /** True if containers with these labels get a sidecar. */
  declares(service: string, labels: Readonly<Record<string, string>>): boolean {
    if (PROXY_ALGORITHMS.includes(labels[LABELS.algorithm] ?? '')) return true;
    return [...this.#stacks.values()].some((services) => services.includes(service));
  }

  #mark(): void {
    mkdirSync(this.#markers, { recursive: true, mode: 0o700 });
    const wanted = new Set([...this.#stacks.values()].flat());
    for (const name of readdirSync(this.#markers)) if (!wanted.has(name)) rmSync(join(this.#markers, name));
    for (const name of wanted) writeFileSync(join(this.#markers, name), '', { mode: 0o600 });
  }
}
