import { EXIT_CODES } from '../../../src/model/errors.ts';
import { visible } from '../../../src/model/visible.ts';
import type { TaskCheck } from '../../operations/index.ts';
import { paint } from './output.ts';

/** What `coordinator check STACK` prints: each thing once, under the task that has it. */
export function stackCheckText(stack: string, tasks: readonly TaskCheck[]): string {
  const lines = tasks.flatMap(({ service, slot, node, obstacles, error }) => {
    const place = `${service}.${slot} on ${node}`;
    if (error !== undefined) return [paint('red', `${place}: cannot be looked at: ${visible(error)}`)];
    return obstacles.flatMap(({ effect, passes, message, advice }) => {
      const text = `${place}: ${visible(message)}`;
      const hard = effect !== 'lost' && !passes;
      return [
        paint(hard ? 'red' : 'yellow', hard ? text : `${text}: ${passes ? 'it passes' : 'lost'}`),
        `    → ${advice}`,
      ];
    });
  });
  if (tasks.length === 0) return `stack ${stack} has no running task`;
  if (lines.length > 0) return lines.join('\n');
  return paint('green', `nothing was found in ${tasks.length} tasks of ${stack} that a snapshot would not carry`);
}

/** 5 when a task could not be looked at, 6 when a snapshot would be refused or could never be restored, else 0. */
export function stackCheckExitCode(tasks: readonly TaskCheck[]): number {
  if (tasks.some(({ error }) => error !== undefined)) return EXIT_CODES.unreachable;
  const refused = tasks.some(({ obstacles }) => obstacles.some(({ effect, passes }) => effect !== 'lost' && !passes));
  return refused ? EXIT_CODES.precondition : 0;
}
