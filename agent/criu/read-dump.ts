import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Connection } from '../../src/model/connection.ts';
import { decodeDumpStats, decodeProcesses, type DumpedProcess, type DumpStats } from '../../src/wire/criu-processes.ts';
import { decodeConnections } from '../../src/wire/criu-sockets.ts';

/** CRIU's images that say what is in a dump, rather than being its contents. */
const DESCRIPTIONS = /^(files|pstree|core-\d+|tcp-stream-[0-9a-f]+)\.img$/;

export interface DumpDescription {
  readonly connections: Connection[];
  readonly processes: DumpedProcess[];
  /** Undefined without a work directory. */
  readonly stats: DumpStats | undefined;
}

/**
 * What a finished dump contains.
 * @param workDir where CRIU left its statistics, if they are wanted
 * @throws SwarmcutError `damaged`, naming the image
 */
export async function readDump(imageDir: string, workDir?: string): Promise<DumpDescription> {
  const names = (await readdir(imageDir)).filter((name) => DESCRIPTIONS.test(name));
  const files = new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(imageDir, name))] as const)),
  );
  return {
    connections: decodeConnections(files),
    processes: decodeProcesses(files),
    stats: workDir === undefined ? undefined : decodeDumpStats(await readFile(join(workDir, 'stats-dump'))),
  };
}
