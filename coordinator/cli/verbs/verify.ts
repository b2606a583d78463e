import { Command } from 'commander';
import { EXIT_CODES } from '../../../src/model/errors.ts';
import type { VerifyReport } from '../../operations/index.ts';
import { runOperation } from '../context.ts';
import { gatheredCatalogue } from '../catalogue.ts';
import { addEncryptionOptions, globalOptionsOf } from '../options.ts';
import { bytesText, paint, say, sayJson, table } from '../output/output.ts';

/** `coordinator verify <snapshot>`. */
export function verifyCommand(): Command {
  return addEncryptionOptions(new Command('verify'))
    .description('re-read every part of a snapshot and check the cut, connection by connection')
    .argument('<snapshot>', 'id or its beginning, `latest`, or `latest:<stack>`')
    .option(
      '--allow-unsigned',
      'no problem when no coordinator of this authority has signed the manifest, or not as it is now',
    )
    .addHelpText(
      'after',
      `
Checks the manifest's signature, and that it says what the nodes recorded. Reads all images on the nodes again: hashes, and for every direction of every connection that nothing was received that had not
been sent, and nothing is lost. Connections through sidecars are checked to the byte: SENT == DELIVERED + RECORDED. Exit code 7 when something is wrong.
Without its key, of an encrypted snapshot only the hashes are checked, and the cut by what the nodes recorded.

Examples:
  coordinator verify latest:bank`,
    )
    .action(async (snapshot: string, options: { allowUnsigned?: true }, command: Command) => {
      const { json } = globalOptionsOf(command);
      const stored = await (await gatheredCatalogue(command)).resolve(snapshot);
      const { id } = stored.manifest;
      const { verifySnapshot } = await import('../../operations/index.ts');
      const report = await runOperation(command, `verification of ${id}`, (ctx) =>
        verifySnapshot(ctx, stored, { allowUnsigned: options.allowUnsigned ?? false }),
      );
      if (json) sayJson(report);
      else say(verifyText(id, report));
      if (!report.ok) process.exitCode = EXIT_CODES.damaged;
    });
}

/** Exported for its test. */
export function verifyText(id: string, report: VerifyReport): string {
  const sections: string[] = [];
  if (report.connections.length > 0) sections.push(connectionsText(report));
  if (report.channels.length > 0) sections.push(channelsText(report));
  if (report.encryption !== undefined) sections.push(encryptionText(report.encryption));
  if (report.problems.length > 0) sections.push(report.problems.map((problem) => paint('red', problem)).join('\n'));
  const checked = [...report.connections, ...report.channels];
  const broken = checked.filter(({ ok }) => !ok).length + report.problems.length;
  sections.push(
    report.ok
      ? paint('green', `snapshot ${id} is sound: ${bytesText(report.verifiedBytes)} read, ${checked.length} channels`)
      : paint('red', `snapshot ${id} is damaged: ${broken === 1 ? '1 problem' : `${broken} problems`}`),
  );
  return sections.join('\n');
}

function encryptionText({ keyId, opened }: NonNullable<VerifyReport['encryption']>): string {
  return opened
    ? `encrypted with key ${keyId}: all parts were opened`
    : paint('yellow', `encrypted with key ${keyId}, which is not given: only the hashes of its parts were checked`);
}

/** `snd_una <= rcv_nxt <= snd_nxt`. */
function connectionsText({ connections }: VerifyReport): string {
  const rows = connections.map((connection) => [
    connection.from,
    connection.to,
    connection.local,
    connection.remote,
    bytesText(connection.inFlightBytes),
    verdict(connection),
  ]);
  return table(['FROM', 'TO', 'LOCAL', 'REMOTE', 'IN FLIGHT', 'CUT'], rows);
}

/** `sent == delivered + recorded`, to the byte. */
function channelsText({ channels }: VerifyReport): string {
  const rows = channels.map((channel) => [
    channel.from ?? 'gone',
    channel.to ?? 'gone',
    channel.local,
    channel.remote,
    String(channel.sentBytes ?? '-'),
    String(channel.deliveredBytes ?? '-'),
    String(channel.recordedBytes ?? '-'),
    verdict(channel),
  ]);
  return table(['FROM', 'TO', 'LOCAL', 'REMOTE', 'SENT', 'DELIVERED', 'RECORDED', 'CUT'], rows);
}

function verdict({ ok, reason }: { readonly ok: boolean; readonly reason?: string }): string {
  return ok ? paint('green', 'ok') : paint('red', reason ?? 'broken');
}
