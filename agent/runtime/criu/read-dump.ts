import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Connection, DatagramSocket, UnconnectedSocket } from '../../../src/model/connection.ts';
import {
  decodeDumpStats,
  decodeProcesses,
  type DumpedProcess,
  type DumpStats,
} from '../../../src/formats/criu-processes.ts';
import { decodeBoundSockets, decodeConnections, decodeDatagramSockets } from '../../../src/formats/criu-sockets.ts';

/** CRIU's images that say what is in a dump, rather than being its contents. */
const DESCRIPTIONS = /^(files|pstree|core-\d+|tcp-stream-[0-9a-f]+)\.img$/;

/** The queues of a connection follow its description, and may be megabytes. */
const STREAM_HEAD_BYTES = 4096;

export interface DumpDescription {
  readonly connections: Connection[];
  readonly datagrams: DatagramSocket[];
  readonly bound: UnconnectedSocket[];
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
    await Promise.all(names.map(async (name) => [name, await readDescription(join(imageDir, name), name)] as const)),
  );
  return {
    connections: decodeConnections(files),
    datagrams: decodeDatagramSockets(files),
    bound: decodeBoundSockets(files),
    processes: decodeProcesses(files),
    stats: workDir === undefined ? undefined : decodeDumpStats(await readFile(join(workDir, 'stats-dump'))),
  };
}

async function readDescription(file: string, name: string): Promise<Uint8Array> {
  if (!name.startsWith('tcp-stream-')) return readFile(file);
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(STREAM_HEAD_BYTES), 0, STREAM_HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
