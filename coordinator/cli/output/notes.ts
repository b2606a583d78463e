import type { ManifestTask } from '../../../src/model/checkpoint.ts';
import { taskKey } from '../../../src/model/task.ts';
import { visible } from '../../../src/model/visible.ts';

/** What was not saved, a line each; empty when everything was. */
export function notesText(tasks: readonly ManifestTask[]): string {
  return tasks.flatMap(({ task, notes }) => notes.map((note) => `note: ${taskKey(task)}: ${visible(note)}`)).join('\n');
}
