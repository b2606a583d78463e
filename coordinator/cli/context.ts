import type { Command } from 'commander';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { broadcast } from '../operations/events/broadcast.ts';
import { logListener } from '../operations/events/log.ts';
import { operate } from '../operations/events/operate.ts';
import type { CoordinatorContext } from '../operations/index.ts';
import { startGuardian } from './guardian/start.ts';
import { encryptionOptionsOf, globalOptionsOf } from './options.ts';
import { displaysOf } from './listeners/index.ts';

/**
 * Runs one operation with all that it needs: the cluster, listeners for what it tells, and an end when the user asks for it. The first SIGINT or SIGTERM aborts
 * `ctx.signal`, upon which the operation puts everything back; the second ends the process at once (the agents' own deadlines
 * then put things back).
 * @param title what is being done, for the display: `snapshot of bank`
 */
export async function runOperation<Result>(
  command: Command,
  title: string,
  operation: (ctx: CoordinatorContext) => Promise<Result>,
): Promise<Result> {
  const options = globalOptionsOf(command);
  const root = createLogger({
    file: options.logFile,
    level: options.verbose ? 'debug' : 'info',
    program: 'coordinator',
  });
  const log = root.child({ verb: command.name() });
  const aborter = new AbortController();
  const displays = displaysOf(options.progress, { json: options.json });
  const emit = broadcast([logListener(log), ...displays], (reason) => log.warn({ reason }, 'progress cannot be shown'));
  const onSignal = (name: NodeJS.Signals): void => {
    if (aborter.signal.aborted) {
      log.warn({ signal: name }, 'second signal: ending at once');
      process.exit(130);
    }
    log.warn({ signal: name }, 'signal: putting everything back');
    emit({ kind: 'information', message: `${name}: putting everything back; once more ends at once` });
    aborter.abort(interrupted(name));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    // Loaded here: the engine's client is not needed by verbs that only read what is on disk.
    const { connectSwarm } = await import('../orchestrator/swarm/connect.ts');
    const ctx: CoordinatorContext = {
      directories: options.directories,
      log,
      signal: aborter.signal,
      emit,
      cluster: connectSwarm({ socketPath: options.dockerSocket, agentPort: options.agentPort }),
      encryption: encryptionOptionsOf(command),
      guard: (stack) => startGuardian(options, stack, log),
    };
    return await operate(emit, title, () => operation(ctx));
  } catch (error) {
    log.error({ err: error }, messageOf(error));
    throw aborter.signal.aborted && !isInterrupted(error) ? withCause(aborter.signal.reason, error) : error;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    for (const { close } of displays) await close?.();
  }
}

function interrupted(signal: NodeJS.Signals): SwarmcutError {
  return new SwarmcutError('interrupted', `interrupted by ${signal}; everything was put back`);
}

function isInterrupted(error: unknown): boolean {
  return error instanceof SwarmcutError && error.code === 'interrupted';
}

/** What failed because of the signal is told as the reason beneath, unless it is only the signal again. */
function withCause(reason: unknown, error: unknown): unknown {
  const { name } = (error ?? {}) as Error;
  if (!(reason instanceof SwarmcutError) || error === reason || name === 'AbortError') return reason;
  return new SwarmcutError(reason.code, reason.message, { where: reason.where, cause: error });
}
