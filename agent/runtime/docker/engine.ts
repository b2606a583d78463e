import Docker from 'dockerode';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';

/** What dockerode carries all requests with. Its types leave it out. */
interface Modem {
  dial(options: unknown, callback: (error: unknown, answer: unknown) => void): void;
}

/**
 * The engine behind a socket. Every request of it that the engine does not answer, since it is away, starts or ends, is rejected with a SwarmcutError
 * `unreachable`; what it answers with an error is dockerode's, with a `statusCode`.
 */
export function engineAt(socketPath: string): Docker {
  const docker = new Docker({ socketPath });
  const modem = docker.modem as Modem;
  const dial = modem.dial.bind(modem);
  modem.dial = (options, callback) =>
    dial(options, (error, answer) => callback(isUnanswered(error) ? notThere(error) : error, answer));
  return docker;
}

function isUnanswered(error: unknown): error is Error {
  return error instanceof Error && (error as { statusCode?: unknown }).statusCode === undefined && 'code' in error;
}

function notThere(error: Error): SwarmcutError {
  return new SwarmcutError('unreachable', `the engine does not answer: ${messageOf(error)}`, {
    advice: 'is dockerd running, and may the agent use its socket?',
    cause: error,
  });
}
