import { CommanderError } from 'commander';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { visibleJson, visibleLines } from '../../src/model/visible.ts';

const NO_PERMISSION = new Set(['EACCES', 'EPERM', 'EROFS']);

/** Everything that was thrown as the one class that users see; what is not ours is `internal`. */
export function asSwarmcutError(error: unknown): SwarmcutError {
  if (error instanceof SwarmcutError) return error;
  if (error instanceof CommanderError) {
    return new SwarmcutError('usage', error.message.replace(/^error: /, ''), { advice: '--help shows the options' });
  }
  const { code, path } = (error ?? {}) as NodeJS.ErrnoException;
  if (code !== undefined && NO_PERMISSION.has(code)) {
    return new SwarmcutError('precondition', messageOf(error), {
      ...(path === undefined ? {} : { where: { file: path } }),
      advice: 'run as root, or move the directories with --state-dir, --run-dir and --config-dir',
      cause: error,
    });
  }
  if (code === 'ENOSPC') {
    return new SwarmcutError('precondition', messageOf(error), {
      ...(path === undefined ? {} : { where: { file: path } }),
      advice: 'make room on that file system (`coordinator rm --older-than 7d` removes old snapshots)',
      cause: error,
    });
  }
  return new SwarmcutError('internal', messageOf(error), {
    advice: 'this is a fault of swarmcut: run it again with --verbose and report what it prints',
    cause: error,
  });
}

/**
 * What failed, where, why, and what to do, one line each; control bytes (a log's, a label's) are written out:
 * ```
 * coordinator: cannot dump: Can't dump nested uts namespace
 *       where: node n2, task bank_branch-a.1
 *         why: runc checkpoint failed
 *           → the full log is /var/lib/swarmcut/log/…
 * ```
 */
export function errorText(error: SwarmcutError, verbose: boolean): string {
  const lines = [`coordinator: ${error.message}`];
  if (error.place !== '') lines.push(`      where: ${error.place}`);
  const why = causeText(error);
  if (why !== undefined) lines.push(`        why: ${why}`);
  if (error.advice !== undefined) lines.push(`          → ${error.advice}`);
  if (verbose && error.code === 'internal') {
    const stack = error.cause instanceof Error ? error.cause.stack : error.stack;
    if (stack !== undefined) lines.push(stack);
  }
  return visibleLines(lines.join('\n'));
}

/** The same for programs: `{"error":{"code","exitCode","message","where","why","advice"}}`. */
export function errorJson(error: SwarmcutError): string {
  const text = JSON.stringify({
    error: {
      code: error.code,
      exitCode: error.exitCode,
      message: error.message,
      where: error.where,
      why: causeText(error),
      advice: error.advice,
    },
  });
  return visibleJson(text);
}

/** The innermost cause that says something the message does not. */
function causeText(error: SwarmcutError): string | undefined {
  let said = error.message;
  let text: string | undefined;
  for (let cause = error.cause; cause !== undefined && cause !== null;) {
    // An agent's error comes with gRPC's own name in front.
    const message = messageOf(cause).replace(/^\d+ [A-Z_]+: /, '');
    if (!said.includes(message)) text = message;
    said += message;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return text;
}
