import { arch } from 'node:process';
import { libraryCall, type Call } from '../../src/platform/libc/library-call.ts';

/** ioprio_set(2) and ioprio_get(2) have no function in the C library, and other numbers on each architecture. */
const SYSCALLS: Readonly<Partial<Record<NodeJS.Architecture, { readonly set: number; readonly get: number }>>> = {
  x64: { set: 251, get: 252 },
  arm64: { set: 30, get: 31 },
};
const IOPRIO_WHO_PROCESS = 1;

/** 1024 processors. Bytes. */
const MASK_BYTES = 128;

let loaded: { readonly syscall: Call; readonly setAffinity: Call } | undefined;

function libc(): { readonly syscall: Call; readonly setAffinity: Call } {
  if (loaded !== undefined) return loaded;
  loaded = {
    syscall: libraryCall('long syscall(long, ...)'),
    setAffinity: libraryCall('int sched_setaffinity(int, size_t, void *)'),
  };
  return loaded;
}

/** Class and level of a thread's input and output, as ioprio_get(2) has it; undefined where it cannot be had. */
export function ioPriority(thread: number): number | undefined {
  const call = SYSCALLS[arch]?.get;
  const value = call === undefined ? -1 : libc().syscall(call, 'int', IOPRIO_WHO_PROCESS, 'int', thread);
  return value < 0 ? undefined : value;
}

/** @returns whether the kernel took it */
export function setIoPriority(thread: number, priority: number): boolean {
  const call = SYSCALLS[arch]?.set;
  return call !== undefined && libc().syscall(call, 'int', IOPRIO_WHO_PROCESS, 'int', thread, 'int', priority) === 0;
}

/** Lets a thread run on these processors, as far as its cgroup has them. @returns false if it has none of them */
export function setAffinity(thread: number, processors: readonly number[]): boolean {
  const mask = Buffer.alloc(MASK_BYTES);
  for (const processor of processors) {
    const at = processor >> 3;
    if (at < MASK_BYTES) mask[at] = (mask[at] ?? 0) | (1 << (processor & 7));
  }
  return libc().setAffinity(thread, MASK_BYTES, mask) === 0;
}
