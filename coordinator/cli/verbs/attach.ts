import { Command } from 'commander';
import { EXIT_CODES } from '../../../src/model/errors.ts';
import { taskKey } from '../../../src/model/task.ts';
import type { SidecarReport, SidecarsReport } from '../../operations/index.ts';
import { runOperation } from '../context.ts';
import { globalOptionsOf } from '../options.ts';
import { bytesText, paint, say, sayJson, table } from '../output/output.ts';

/** How many connections that pass a sidecar by are named for each task. */
const NAMED = 5;

/** `coordinator attach <stack>`. */
export function attachCommand(): Command {
  return new Command('attach')
    .description('give the tasks of a stack the sidecars that its algorithm needs')
    .argument('<stack>', 'name of the stack, as `docker stack ls` shows it')
    .option('--status', 'change nothing, show the sidecars there are')
    .addHelpText(
      'after',
      `
Needed once for a stack that declares swarmcut.algorithm under deploy.labels: its running tasks get sidecars now, later ones when
they start. Tasks that declare it under labels have theirs from their first instruction on. Running tasks keep the connections that
they have: these pass the sidecar by until they end, are listed, and keep snapshots from being taken. Repeated: no effect.
Exit code 5 when an agent cannot be reached.

Examples:
  coordinator attach bank
  coordinator attach bank --status`,
    )
    .action(async (stack: string, options: { status?: true }, command: Command) => {
      const { attachSidecars, sidecarsOf } = await import('../../operations/index.ts');
      const status = options.status === true;
      const report = await runOperation(command, `${status ? 'sidecars' : 'attachment'} of ${stack}`, (ctx) =>
        status ? sidecarsOf(ctx, stack) : attachSidecars(ctx, stack),
      );
      if (globalOptionsOf(command).json) sayJson(report);
      else say(status ? statusText(report) : attachText(report));
      if (report.unreached.length > 0) process.exitCode = EXIT_CODES.unreachable;
    });
}

/** What `attach` has done. Exported for its test. */
export function attachText(report: SidecarsReport): string {
  const rows = report.sidecars.map((sidecar) => [
    taskKey(sidecar),
    sidecar.node,
    stateText(sidecar),
    sidecar.direct.length === 0 ? 'none' : paint('yellow', String(sidecar.direct.length)),
  ]);
  const old = report.sidecars.flatMap(({ direct }) => direct).length;
  return [
    rows.length === 0 ? 'no running task has a sidecar' : table(['TASK', 'NODE', 'SIDECAR', 'OLD CONNECTIONS'], rows),
    ...passingText(report.sidecars),
    ...(old === 0
      ? []
      : ['Connections that are older than the sidecars pass them by. Snapshots are refused until they have ended.']),
    ...restText(report),
  ].join('\n');
}

/** The sidecars of a stack as they are. Exported for its test. */
export function statusText(report: SidecarsReport): string {
  const rows = report.sidecars.map((sidecar) => [
    taskKey(sidecar),
    sidecar.node,
    stateText(sidecar),
    String(sidecar.streams),
    String(sidecar.peers.length),
    String(sidecar.direct.length),
    bytesText(sidecar.rssBytes),
    String(sidecar.starts),
  ]);
  const head = ['TASK', 'NODE', 'SIDECAR', 'STREAMS', 'PEERS', 'OLD CONNECTIONS', 'MEMORY', 'STARTS'];
  return [
    rows.length === 0 ? `no task of ${report.stack} has a sidecar` : table(head, rows),
    ...passingText(report.sidecars),
    ...restText(report),
  ].join('\n');
}

function stateText({ alive }: SidecarReport): string {
  return alive ? paint('green', 'runs') : paint('red', 'does not run');
}

function passingText(sidecars: readonly SidecarReport[]): string[] {
  return sidecars
    .filter(({ direct }) => direct.length > 0)
    .map((sidecar) => {
      const named = sidecar.direct.slice(0, NAMED).map(({ local, remote }) => `${local} - ${remote}`);
      const more = sidecar.direct.length > NAMED ? `, and ${sidecar.direct.length - NAMED} more` : '';
      return `${taskKey(sidecar)}: passing by: ${named.join(', ')}${more}`;
    });
}

function restText({ without, unreached }: SidecarsReport): string[] {
  const lines = unreached.map(({ node, error }) => paint('red', `node ${node} was not reached: ${error}`));
  // Whether these have sidecars is not known while their nodes do not answer.
  if (without.length > 0) lines.push(paint('yellow', `without a sidecar: ${without.join(', ')}`));
  return lines;
}
