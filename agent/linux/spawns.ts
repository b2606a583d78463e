import { arch } from 'node:process';
import { poll } from '../../src/platform/deadlines.ts';
import { descendants } from './process-tree.ts';
import { libc } from './sys.ts';

/** kcmp(2) has no function in the C library, and another number on each architecture. */
const SYSCALLS: Readonly<Partial<Record<NodeJS.Architecture, number>>> = { x64: 312, arm64: 272 };

/** Of kcmp: whether two processes have the same memory. */
const KCMP_VM = 1;

/** Longest wait. A child needs some 0.1 ms, or a processor. Milliseconds. */
const LONGEST_MS = 1_000;

/** Milliseconds. */
const INTERVAL_MS = 1;

/**
 * Programs that are just being started in a task. Who starts one by vfork(2), as shells do, or by posix_spawn(3), waits in the kernel until the child has begun, and
 * until then the two share their memory. CRIU cannot stop one that waits so for a child that is frozen: after ten seconds it gives up ("Timeout reached").
 */
export class Spawns {
  readonly #pid: number;

  /** @param pid of the container's first process */
  constructor(pid: number) {
    this.#pid = pid;
  }

  /** @returns the process that waits, as this node numbers it; undefined if there is none, or where the kernel does not tell */
  async underWay(): Promise<number | undefined> {
    return (await descendants(this.#pid)).find(({ pid, parent }) => shareMemory(parent, pid))?.parent;
  }

  /** Waits until there is none, for a moment. */
  async end(): Promise<void> {
    const none = async (): Promise<true | undefined> => ((await this.underWay()) === undefined ? true : undefined);
    await poll(none, { timeoutMs: LONGEST_MS, intervalMs: INTERVAL_MS });
  }
}

function shareMemory(one: number, other: number): boolean {
  const call = SYSCALLS[arch];
  if (call === undefined) return false;
  return libc().syscall(call, 'int', one, 'int', other, 'int', KCMP_VM, 'ulong', 0, 'ulong', 0) === 0;
}
