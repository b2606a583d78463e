import { Command } from 'commander';
import { EXIT_CODES, SwarmcutError } from '../../../src/model/errors.ts';
import type { NodeInfo } from '../../operations/index.ts';
import { runOperation } from '../context.ts';
import { globalOptionsOf } from '../options.ts';
import { paint, say, sayJson, table } from '../output/output.ts';
import { repairNodes, type RepairOptions } from '../repair/repair-nodes.ts';
import { stackCheckExitCode, stackCheckText } from '../output/stack-check.ts';

/** `coordinator check`. */
export function checkCommand(): Command {
  return new Command('check')
    .description('whether every node can snapshot and restore, or what of a running stack CRIU does not carry')
    .argument('[stack]', 'look into the tasks of this stack instead')
    .option('--repair', 'show what operations that are over have left behind, and clear it after asking')
    .option('--dry-run', 'with --repair: only show it')
    .option('--yes', 'with --repair: do not ask')
    .addHelpText(
      'after',
      `
Exit code 0 when no check failed (warnings are allowed), 5 when an agent cannot be reached, 6 when a check failed. Nothing is stopped or changed.
With --repair: 0 when nothing is left, 5 when an agent cannot be reached, 6 when something was found and not cleared (--dry-run,
or you said no), 8 when something could not be cleared. What belongs to an operation under way is shown and not touched.

Examples:
  coordinator check
  coordinator check mystack
  coordinator check --json | jq '.[].checks[] | select(.verdict != "OK")'
  coordinator check --repair --dry-run
  coordinator check --repair --yes`,
    )
    .action(async (stack: string | undefined, options: RepairOptions & { repair?: true }, command: Command) => {
      if (options.repair === true) {
        if (stack !== undefined) throw new SwarmcutError('usage', '--repair is for all stacks: it takes none');
        await repairNodes(command, options);
        return;
      }
      if (options.dryRun === true || options.yes === true)
        throw new SwarmcutError('usage', '--dry-run and --yes go with --repair');
      const { checkNodes, checkStack } = await import('../../operations/index.ts');
      if (stack !== undefined) {
        const tasks = await runOperation(command, `check of stack ${stack}`, (ctx) => checkStack(ctx, stack));
        if (globalOptionsOf(command).json) sayJson(tasks);
        else say(stackCheckText(stack, tasks));
        process.exitCode = stackCheckExitCode(tasks);
        return;
      }
      const nodes = await runOperation(command, 'check of the nodes', (ctx) => checkNodes(ctx));
      if (globalOptionsOf(command).json) sayJson(nodes);
      else say(checkText(nodes));
      process.exitCode = exitCodeOf(nodes);
    });
}

function exitCodeOf(nodes: readonly NodeInfo[]): number {
  if (nodes.some((node) => 'error' in node)) return EXIT_CODES.unreachable;
  const failed = nodes.some((node) => 'checks' in node && node.checks.some(({ verdict }) => verdict === 'FAILED'));
  return failed ? EXIT_CODES.precondition : 0;
}

/** Nodes across, checks down, then one line of advice per cell that is not green. Exported for its test. */
export function checkText(nodes: readonly NodeInfo[]): string {
  const names = [...new Set(nodes.flatMap((node) => ('checks' in node ? node.checks.map(({ name }) => name) : [])))];
  const answering = nodes.map((node) =>
    'error' in node
      ? paint('red', node.error.includes('certificate') ? '✘ certificate' : '✘ no answer')
      : `${paint('green', '✔')} ${node.version}`,
  );
  const rows = names.map((name) => [name, ...nodes.map((node) => cell(node, name))]);
  const advice = nodes.flatMap((node) =>
    'error' in node
      ? [whyNot(node)]
      : node.checks
          .filter(({ verdict }) => verdict !== 'OK')
          .map(({ name, verdict, found, advice }) => {
            const what = `${node.node}: ${name}: ${found}`;
            const line = verdict === 'FAILED' ? paint('red', what) : paint('yellow', what);
            return advice === '' ? line : `${line}\n    → ${advice}`;
          }),
  );
  const parts = [table(['CHECK', ...nodes.map(({ node }) => node)], [['agent', ...answering], ...rows])];
  if (advice.length > 0) parts.push(advice.join('\n'));
  else parts.push(paint('green', nodes.length === 1 ? 'the node is ready' : `all ${nodes.length} nodes are ready`));
  return parts.join('\n\n');
}

/** An error has its advice in a second line, where it has one. */
function whyNot({ node, error }: { readonly node: string; readonly error: string }): string {
  const [what = '', advice] = error.split('\n');
  return advice === undefined
    ? `${node}: the agent does not answer: ${what}\n    → is it running there? \`systemctl status swarmcut-agent\``
    : `${node}: ${what}\n    → ${advice}`;
}

function cell(node: NodeInfo, name: string): string {
  if ('error' in node) return '-';
  const check = node.checks.find((candidate) => candidate.name === name);
  if (check === undefined) return '-';
  const mark = { OK: paint('green', '✔'), WARNING: paint('yellow', '!'), FAILED: paint('red', '✘') }[check.verdict];
  return `${mark} ${check.found}`;
}
