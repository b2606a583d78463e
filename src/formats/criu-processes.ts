import { damagedImage, decodeImage } from './criu-image.ts';

/** A process of a dumped task. Same shape as `Process` in proto/types.proto. */
export interface DumpedProcess {
  /** In the container's pid namespace. */
  readonly pid: number;
  /** 0 for the container's first process. */
  readonly parentPid: number;
  readonly threads: number;
  /** The kernel's name of it, at most 15 characters; empty for a process that had ended and was not waited for. */
  readonly command: string;
}

/** CRIU's figures of a dump (images/stats.proto, dump_stats_entry). */
export interface DumpStats {
  readonly freezingUs: number;
  readonly frozenUs: number;
  readonly memdumpUs: number;
  readonly memwriteUs: number;
  readonly pagesWritten: number;
}

const PSTREE_IMAGE = 'pstree.img';
/** pstree_entry (images/pstree.proto). */
const PSTREE = { pid: 1, parentPid: 2, threads: 5 };
/** core_entry and its task_core_entry (images/core.proto). */
const CORE_TASK = 3;
const TASK_COMMAND = 6;

const STATS_IMAGE = 'stats-dump';
/** stats_entry, and dump_stats_entry in it (images/stats.proto). */
const STATS_DUMP = 1;
const STATS = { freezing: 1, frozen: 2, memdump: 3, memwrite: 4, pagesWritten: 7 };

/**
 * @param files the images by name: `pstree.img` and every `core-*.img`
 * @throws SwarmcutError `damaged`
 */
export function decodeProcesses(files: ReadonlyMap<string, Uint8Array>): DumpedProcess[] {
  const data = files.get(PSTREE_IMAGE);
  if (data === undefined) throw damagedImage(PSTREE_IMAGE, 'it is missing');
  return decodeImage('pstree', PSTREE_IMAGE, data).map((entry) => {
    const pid = entry.required(PSTREE.pid);
    return {
      pid,
      parentPid: entry.required(PSTREE.parentPid),
      threads: entry.numbers(PSTREE.threads).length,
      command: commandOf(files, pid),
    };
  });
}

function commandOf(files: ReadonlyMap<string, Uint8Array>, pid: number): string {
  const name = `core-${pid}.img`;
  const data = files.get(name);
  if (data === undefined) return '';
  return decodeImage('core', name, data, 1)[0]?.message(CORE_TASK)?.text(TASK_COMMAND) ?? '';
}

/**
 * @param data the file `stats-dump` of CRIU's work directory
 * @throws SwarmcutError `damaged`
 */
export function decodeDumpStats(data: Uint8Array): DumpStats {
  const dump = decodeImage('stats', STATS_IMAGE, data, 1)[0]?.message(STATS_DUMP);
  if (dump === undefined) throw damagedImage(STATS_IMAGE, 'it has no figures of a dump');
  return {
    freezingUs: dump.required(STATS.freezing),
    frozenUs: dump.required(STATS.frozen),
    memdumpUs: dump.required(STATS.memdump),
    memwriteUs: dump.required(STATS.memwrite),
    pagesWritten: dump.required(STATS.pagesWritten),
  };
}
