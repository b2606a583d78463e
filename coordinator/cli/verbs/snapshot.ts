import { Command, Option } from 'commander';
import { algorithms } from '../../../src/algorithms/index.ts';
import type { Manifest } from '../../../src/model/checkpoint.ts';
import { taskKey } from '../../../src/model/task.ts';
import { runOperation } from '../context.ts';
import { addEncryptionOptions, globalOptionsOf, parseDuration } from '../options.ts';
import { notesText } from '../output/notes.ts';
import { bytesText, durationText, say, sayJson, table } from '../output/output.ts';
import { frozenMs, snapshotBytes, storedBytes } from '../output/sizes.ts';

interface Options {
  algorithm?: string;
  freezeTimeout?: number;
}

/** `coordinator snapshot <stack>`. */
export function snapshotCommand(): Command {
  return addEncryptionOptions(new Command('snapshot'))
    .description('record a running stack as one consistent cut; it runs on')
    .argument('<stack>', 'name of the stack, as `docker stack ls` shows it')
    .addOption(
      new Option('--algorithm <name>', "instead of the stack's label swarmcut.algorithm").choices(
        Object.keys(algorithms),
      ),
    )
    .option('--freeze-timeout <duration>', 'longest time that a task may stay frozen, e.g. 30s', parseDuration)
    .addHelpText(
      'after',
      `
Prints the new snapshot's id. All tasks or none: if one fails, everything is put back.

Examples:
  coordinator snapshot bank
  coordinator snapshot bank --algorithm sync --freeze-timeout 10s
  id=$(coordinator snapshot bank --json | jq -r .id)`,
    )
    .action(async (stack: string, options: Options, command: Command) => {
      const { takeSnapshot } = await import('../../operations/index.ts');
      const manifest = await runOperation(command, `snapshot of ${stack}`, (ctx) =>
        takeSnapshot(ctx, stack, {
          ...(options.algorithm === undefined ? {} : { algorithm: options.algorithm }),
          ...(options.freezeTimeout === undefined ? {} : { freezeTimeoutMs: options.freezeTimeout }),
        }),
      );
      if (globalOptionsOf(command).json) sayJson(summary(manifest));
      else say(text(manifest));
    });
}

function summary(manifest: Manifest): unknown {
  return {
    id: manifest.id,
    stack: manifest.stack,
    algorithm: manifest.algorithm,
    epoch: manifest.epoch,
    committedAt: manifest.committedAt,
    wallMs: manifest.wallMs,
    sizeBytes: snapshotBytes(manifest),
    tasks: manifest.tasks.map(({ task, node, times, parts, notes }) => ({
      service: task.service,
      slot: task.slot,
      node,
      frozenMs: frozenMs(times),
      dumpMs: times.dumpWallUs / 1000,
      sizeBytes: storedBytes(parts),
      notes,
    })),
  };
}

function text(manifest: Manifest): string {
  const rows = manifest.tasks.map(({ task, node, times, parts }) => {
    const frozen = frozenMs(times);
    return [
      taskKey(task),
      node,
      frozen === undefined ? '-' : durationText(frozen),
      durationText(times.dumpWallUs / 1000),
      bytesText(storedBytes(parts)),
    ];
  });
  const tasks = manifest.tasks.length === 1 ? '1 task' : `${manifest.tasks.length} tasks`;
  const notes = notesText(manifest.tasks);
  return `${table(['TASK', 'NODE', 'FROZEN', 'DUMP', 'SIZE'], rows)}
snapshot ${manifest.id} of ${manifest.stack}: ${tasks}, ${bytesText(snapshotBytes(manifest))}, ${manifest.algorithm}, ${durationText(manifest.wallMs)}${notes === '' ? '' : `\n${notes}`}`;
}
