import { execa } from 'execa';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';

/**
 * Runs one program to its end with `input` on stdin and resolves with its stdout.
 * @throws SwarmcutError `failed` with the program's own words if it cannot be started or exits non-zero.
 */
export type Runner = (command: readonly string[], input?: string) => Promise<string>;

/** Nothing here waits for a peer: a child that takes this long hangs. */
const CHILD_TIMEOUT_MS = 20_000;

export const runProcess: Runner = async (command, input = '') => {
  const [file, ...args] = command;
  if (file === undefined) throw new Error('empty command');
  const result = await execa(file, args, {
    input,
    reject: false,
    timeout: CHILD_TIMEOUT_MS,
    env: { LC_ALL: 'C' },
  }).catch((error: unknown) => {
    throw new SwarmcutError('failed', `${file}: ${messageOf(error)}`, { cause: error });
  });
  if (result.failed) {
    const why = result.stderr.trim().split('\n').slice(0, 3).join(' / ') || result.message;
    throw new SwarmcutError('failed', `${command.join(' ')}: ${why}`, {
      ...(result.code === 'ENOENT' ? { advice: `install ${file} on this node` } : {}),
    });
  }
  return result.stdout;
};
