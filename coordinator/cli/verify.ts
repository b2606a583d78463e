import { Command } from 'commander';
import { EXIT_CODES } from '../../src/model/errors.ts';
import { Catalogue } from '../../src/store/catalogue.ts';
import type { VerifyReport } from '../api.ts';
import { runOperation } from './context.ts';
import { globalOptionsOf } from './options.ts';
import { bytesText, paint, say, sayJson, table } from './output.ts';

/** `coordinator verify <snapshot>`. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description('re-read every part of a snapshot and check the cut, connection by connection')
    .argument('<snapshot>', 'id or its beginning, `latest`, or `latest:<stack>`')
    .addHelpText(
      'after',
      `
Reads all images on the nodes again: hashes, and for every direction of every connection that nothing was received that had not
been sent, and nothing is lost. Exit code 7 when something is wrong.

Examples:
  coordinator verify latest:bank`,
    )
    .action(async (snapshot: string, _options: unknown, command: Command) => {
      const { directories, json } = globalOptionsOf(command);
      const manifest = await new Catalogue(directories.state).resolve(snapshot);
      const { verifySnapshot } = await import('../operations.ts');
      const report = await runOperation(command, `verification of ${manifest.id}`, (ctx) =>
        verifySnapshot(ctx, manifest),
      );
      if (json) sayJson(report);
      else say(text(manifest.id, report));
      if (!report.ok) process.exitCode = EXIT_CODES.damaged;
    });
}

function text(id: string, report: VerifyReport): string {
  const rows = report.connections.map((connection) => [
    connection.from,
    connection.to,
    connection.local,
    connection.remote,
    bytesText(connection.inFlightBytes),
    connection.ok ? paint('green', 'ok') : paint('red', connection.reason ?? 'broken'),
  ]);
  const lines = rows.length === 0 ? [] : [table(['FROM', 'TO', 'LOCAL', 'REMOTE', 'IN FLIGHT', 'CUT'], rows)];
  lines.push(...report.problems.map((problem) => paint('red', problem)));
  const broken = report.connections.filter(({ ok }) => !ok).length + report.problems.length;
  lines.push(
    report.ok
      ? paint('green', `snapshot ${id} is sound: ${bytesText(report.verifiedBytes)} read, ${rows.length} channels`)
      : paint('red', `snapshot ${id} is damaged: ${broken === 1 ? '1 problem' : `${broken} problems`}`),
  );
  return lines.join('\n');
}
