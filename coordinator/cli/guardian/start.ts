import { spawn } from 'node:child_process';
import type { Logger } from '../../../src/platform/logger.ts';
import type { Guardian } from '../../operations/index.ts';
import type { GlobalOptions } from '../options.ts';

/** The hidden verb that a guardian runs (resume-after.ts). */
export const RESUME_AFTER = 'resume-after';

/** What a guardian is told when there is nothing to do. An end without it means that its parent has died. */
export const DONE = 'done';

/**
 * Starts a guardian: this program again, in a session of its own, which does nothing until the pipe from this process breaks. It does not
 * keep this process alive, and ends with it.
 */
export function startGuardian(options: GlobalOptions, stack: string, log: Logger): Guardian {
  const { directories, logFile, dockerSocket, agentPort } = options;
  const [program] = process.argv.slice(1);
  if (program === undefined) return { dismiss: () => undefined, takeOver: () => undefined };
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv,
      program,
      RESUME_AFTER,
      stack,
      ...['--state-dir', directories.state, '--run-dir', directories.run, '--config-dir', directories.config],
      ...['--docker-socket', dockerSocket, '--agent-port', String(agentPort), '--log-file', logFile],
    ],
    { detached: true, stdio: ['pipe', 'ignore', 'ignore'], cwd: '/' },
  );
  // The operation is as safe without it as with a person who runs the next command.
  child.on('error', (error) => log.warn({ reason: error.message }, 'there is no guardian'));
  child.stdin.on('error', (error) => log.warn({ reason: error.message }, 'the guardian is gone'));
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  return {
    dismiss: () => void child.stdin.end(DONE),
    takeOver: () => void child.stdin.end(),
  };
}
