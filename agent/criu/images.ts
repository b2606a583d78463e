import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeDumpStats, decodeProcesses, type DumpedProcess, type DumpStats } from '../../src/wire/criu-processes.ts';
import { decodeConnections, decodeListeners, type Listener } from '../../src/wire/criu-sockets.ts';
import type { Connection } from '../../src/model/connection.ts';

/** What CRIU's images say about a task. */
export interface ImageFacts {
  readonly connections: readonly Connection[];
  readonly listeners: readonly Listener[];
  readonly processes: readonly DumpedProcess[];
}

/** Images that are looked into. */
const WANTED = /^(files|pstree|core-\d+|tcp-stream-[0-9a-f]+)\.img$/;

/** The queues of a connection follow its description, and may be megabytes. */
const STREAM_HEAD_BYTES = 4096;

/** @returns whether an image is one that {@link readImages} looks into */
export function isDecoded(name: string): boolean {
  return WANTED.test(name);
}

/**
 * Decodes a dump.
 * @param images where each image lies, by its name in CRIU's image directory; others than those wanted are ignored
 * @throws SwarmcutError `damaged`
 */
export async function readImages(images: Iterable<readonly [name: string, file: string]>): Promise<ImageFacts> {
  const files = new Map<string, Uint8Array>();
  for (const [name, file] of images) {
    if (!isDecoded(name)) continue;
    files.set(name, name.startsWith('tcp-stream-') ? await head(file, STREAM_HEAD_BYTES) : await readFile(file));
  }
  return {
    connections: decodeConnections(files),
    listeners: decodeListeners(files),
    processes: decodeProcesses(files),
  };
}

/** Decodes the dump in a directory. */
export async function readImageDirectory(imageDir: string): Promise<ImageFacts> {
  const names = await readdir(imageDir);
  return readImages(names.map((name) => [name, join(imageDir, name)] as const));
}

/** CRIU's own figures, from the work directory of a dump. */
export async function readDumpStats(workPath: string): Promise<DumpStats> {
  return decodeDumpStats(await readFile(join(workPath, 'stats-dump')));
}

async function head(file: string, bytes: number): Promise<Uint8Array> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
