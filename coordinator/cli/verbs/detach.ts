import { Command } from 'commander';
import { EXIT_CODES } from '../../../src/model/errors.ts';
import type { DetachReport } from '../../operations/index.ts';
import { runOperation } from '../context.ts';
import { globalOptionsOf } from '../options.ts';
import { paint, say, sayJson } from '../output/output.ts';

/** `coordinator detach <stack>`. */
export function detachCommand(): Command {
  return new Command('detach')
    .description('take the sidecars of a stack away')
    .argument('<stack>', 'name of the stack; it may be gone already')
    .option('--force', 'also when connections go through them, which are reset')
    .addHelpText(
      'after',
      `
Asks nothing. Without --force it refuses (exit code 6) while the sidecars carry connections, and says how many.
Exit code 5 when an agent cannot be reached.

Examples:
  coordinator detach bank
  coordinator detach bank --force`,
    )
    .action(async (stack: string, options: { force?: true }, command: Command) => {
      const { detachSidecars } = await import('../../operations/index.ts');
      const report = await runOperation(command, `detachment of ${stack}`, (ctx) =>
        detachSidecars(ctx, stack, { force: options.force === true }),
      );
      if (globalOptionsOf(command).json) sayJson(report);
      else say(text(report));
      if (report.unreached.length > 0) process.exitCode = EXIT_CODES.unreachable;
    });
}

function text({ stack, sidecars, resetConnections, unreached }: DetachReport): string {
  const away = sidecars === 1 ? '1 sidecar' : `${sidecars} sidecars`;
  const reset = resetConnections === 1 ? '1 connection was reset' : `${resetConnections} connections were reset`;
  return [
    sidecars === 0 ? `${stack} had no sidecars` : `${away} of ${stack} taken away, ${reset}`,
    ...unreached.map(({ node, error }) => paint('red', `node ${node} was not reached: ${error}`)),
  ].join('\n');
}
