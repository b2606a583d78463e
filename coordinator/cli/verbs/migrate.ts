import { Command } from 'commander';
import { taskKey } from '../../../src/model/task.ts';
import type { MigrateReport } from '../../operations/index.ts';
import { runOperation } from '../context.ts';
import { addEncryptionOptions, globalOptionsOf, parseDuration } from '../options.ts';
import { bytesText, durationText, say, sayJson, table } from '../output/output.ts';

interface Options {
  from?: string;
  to?: string;
  timeout?: number;
}

/** `coordinator migrate <stack|service>`. */
export function migrateCommand(): Command {
  return addEncryptionOptions(new Command('migrate'))
    .description('move a running stack or service to other nodes, connections and all')
    .argument('<what>', 'a stack, or one of its services (`bank_branch-a`)')
    .option('--from <node>', 'only tasks on this node')
    .option('--to <node>', 'where to (default: where Swarm likes)')
    .option('--timeout <duration>', 'give up after this time, e.g. 2m', parseDuration)
    .addHelpText(
      'after',
      `
The old tasks run until the final cut and go on if anything fails.

Examples:
  coordinator migrate bank_branch-a --to n3
  coordinator migrate bank --from n1`,
    )
    .action(async (what: string, options: Options, command: Command) => {
      const { migrate } = await import('../../operations/index.ts');
      const report = await runOperation(command, `migration of ${what}`, (ctx) =>
        migrate(ctx, what, {
          ...(options.from === undefined ? {} : { from: options.from }),
          ...(options.to === undefined ? {} : { to: options.to }),
          ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
        }),
      );
      if (globalOptionsOf(command).json) sayJson(report);
      else say(text(report));
    });
}

function text(report: MigrateReport): string {
  const rows = report.tasks.map((task) => [taskKey(task), task.from, task.to, bytesText(task.bytes)]);
  return `${table(['TASK', 'FROM', 'TO', 'MOVED'], rows)}
migrated in ${durationText(report.wallMs)}, downtime ${durationText(report.downtimeMs)}`;
}
