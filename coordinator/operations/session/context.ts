import type { Directories } from '../../../src/model/paths.ts';
import type { Logger } from '../../../src/platform/logger.ts';
import type { Cluster } from '../../orchestrator/index.ts';
import type { Emit } from '../events/events.ts';

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
}
