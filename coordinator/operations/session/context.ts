import type { Directories } from '../../../src/model/paths.ts';
import type { Logger } from '../../../src/platform/logger.ts';
import type { Cluster } from '../../orchestrator/index.ts';
import type { Emit } from '../events/events.ts';
import type { EncryptionFiles } from '../../../src/storage/encryption/key-files.ts';

/** What every operation needs from the one who asks for it. */
export interface CoordinatorContext {
  readonly directories: Directories;
  readonly log: Logger;
  /** Aborted when the user gives up: the operation then puts everything back and throws `interrupted`. */
  readonly signal: AbortSignal;
  /** Told what the operation is at. */
  readonly emit: Emit;
  /** The cluster that runs the stacks. */
  readonly cluster: Cluster;
  /** Files that the command line names for encryption; without, those in the coordinator's configuration. */
  readonly encryption?: EncryptionFiles;
  /**
   * Starts what finishes an operation on a stack if this process dies in it. Absent where nobody does, and the next command has to.
   */
  readonly guard?: (stack: string) => Guardian;
}

/** Watches over an operation that must not be left half done. */
export interface Guardian {
  /** All is done: it ends. */
  dismiss(): void;
  /** The operation has ended, and something is left to do: it does that when the stack's lock is free. */
  takeOver(): void;
}
