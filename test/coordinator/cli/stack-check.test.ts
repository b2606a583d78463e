import { expect, test } from 'vitest';
import { stackCheckExitCode, stackCheckText } from '../../../coordinator/cli/output/stack-check.ts';
import type { ObstacleReport, TaskCheck } from '../../../coordinator/operations/index.ts';
import { kindOf, obstacleText, type ObstacleName } from '../../../src/model/obstacles.ts';

function task(...kinds: ObstacleName[]): TaskCheck {
  const obstacles = kinds.map((kind): ObstacleReport => {
    const one = { kind, pid: 7, command: 'server', object: 'descriptor 3' };
    const { effect, advice, passes } = kindOf(one);
    return { ...one, effect, advice, passes: passes === true, message: obstacleText(one) };
  });
  return { service: 's_web', slot: '1', node: 'n2', obstacles };
}

test.each([
  ['what is refused', task('mptcp'), 6, 's_web.1 on n2: process 7 (server) has a socket of Multipath TCP'],
  ['what could never be restored', task('memfd-program'), 6, 'which CRIU saves and cannot restore'],
  ['what is lost', task('sleeping'), 0, ': lost'],
  ['what passes', task('unaccepted-stream'), 0, ': it passes'],
  ['nothing', task(), 0, 'nothing was found in 1 tasks of s'],
  ['a task that cannot be looked at', { ...task(), error: 'no agent' }, 5, 'cannot be looked at: no agent'],
])('%s is told, with the exit code that scripts go by', (_what, found, code, text) => {
  expect(stackCheckExitCode([found])).toBe(code);
  expect(stackCheckText('s', [found])).toContain(text);
});
