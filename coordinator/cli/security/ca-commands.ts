import { Command } from 'commander';
import { EXIT_CODES, SwarmcutError } from '../../../src/model/errors.ts';
import { validUntil } from '../../../src/rpc/index.ts';
import type { CertificatesReport, RevokeReport, RotateReport } from '../../operations/index.ts';
import { runOperation } from '../context.ts';
import { collect, globalOptionsOf, parseCount } from '../options.ts';
import { paint, say, sayJson, table } from '../output/output.ts';

/** `coordinator ca renew`. */
export function renewCommand(): Command {
  return new Command('renew')
    .description('a new key and certificate for the coordinator itself, of the same authority')
    .option('--days <days>', 'validity (default: 730)', parseCount)
    .addHelpText(
      'after',
      `
Needs no agent, so it also helps when the present certificate has expired. What was signed with it stays signed.
For the nodes: \`coordinator ca issue\`, \`coordinator join-token\`, or \`coordinator ca rotate\` for all of them.`,
    )
    .action(async (options: { days?: number }, command: Command) => {
      const { directories, json } = globalOptionsOf(command);
      const { LocalAuthority } = await import('../../ca/operator.ts');
      const authority = new LocalAuthority(directories.config, {
        ...(options.days === undefined ? {} : { certificate: options.days }),
      });
      const { renewOwnCertificate } = await import('../../operations/certificates/own-certificate.ts');
      await authority.exclusively(() => renewOwnCertificate(authority));
      const { file, until } = validUntil(authority.identityFolder);
      if (json) sayJson({ file, notAfter: until.toISOString() });
      else say(`wrote ${file}\nvalid until ${until.toISOString().slice(0, 10)}`);
    });
}

/** `coordinator ca rotate`. */
export function rotateCommand(): Command {
  return new Command('rotate')
    .description('replace the authority, and all certificates, while the cluster runs')
    .option('--days <days>', 'validity of the new authority (default: 3650)', parseCount)
    .option('--certificate-days <days>', 'validity of the new certificates (default: 730)', parseCount)
    .option('--forget-old', 'manifests that were signed under the old authority count no more: for one that was stolen')
    .option('--skip <node>', 'leave a node behind that will never answer; may be repeated', collect, [])
    .option('--dry-run', 'only show what is, and what would be done')
    .addHelpText(
      'after',
      `
First all agents trust both authorities, then all get new certificates (their keys never leave them), then the old authority is dropped. Nothing is
restarted. When a node does not answer, the rotation stays where it is, and everything works; the same command goes on with it.

Examples:
  coordinator ca rotate --dry-run
  coordinator ca rotate
  coordinator ca rotate --skip n3`,
    )
    .action(
      async (
        options: { days?: number; certificateDays?: number; forgetOld?: true; skip: string[]; dryRun?: true },
        command: Command,
      ) => {
        const { directories, json } = globalOptionsOf(command);
        const { LocalAuthority } = await import('../../ca/operator.ts');
        const authority = new LocalAuthority(directories.config, {
          ...(options.days === undefined ? {} : { authority: options.days }),
          ...(options.certificateDays === undefined ? {} : { certificate: options.certificateDays }),
        });
        const { certificatesOf, rotateAuthority } = await import('../../operations/index.ts');
        if (options.dryRun === true) {
          const report = await runOperation(command, 'look at the certificates', (ctx) =>
            certificatesOf(ctx, authority),
          );
          if (json) sayJson(report);
          else say(`${statusText(report)}\n\n${planText(report, options.skip)}`);
          return;
        }
        const report = await runOperation(command, 'rotation of the authority', (ctx) =>
          rotateAuthority(ctx, authority, { forgetOld: options.forgetOld ?? false, skip: options.skip }),
        );
        if (json) sayJson(report);
        else say(rotatedText(report));
      },
    );
}

/** `coordinator ca revoke <node>`. */
export function revokeCommand(): Command {
  return new Command('revoke')
    .description('make the certificates of a node worthless at once')
    .argument('<node>', 'host name of the node; or `coordinator`, whose certificate is then replaced')
    .option('--serial <hex>', 'also this serial number, of one that was not noted; may be repeated', collect, [])
    .addHelpText(
      'after',
      `
All agents are told, refuse the certificate from then on, and end what is under way for it. A node that does not answer is told at its next
operation; until then it goes on trusting it. Exit code 5 when there is such a node.

Examples:
  coordinator ca revoke n3
  coordinator ca revoke coordinator`,
    )
    .action(async (name: string, options: { serial: string[] }, command: Command) => {
      const { directories, json } = globalOptionsOf(command);
      const { LocalAuthority } = await import('../../ca/operator.ts');
      const { revokeCertificates } = await import('../../operations/index.ts');
      const serials = options.serial.map(serialNumber);
      const authority = new LocalAuthority(directories.config);
      const report = await runOperation(command, `revocation of ${name}`, (ctx) =>
        revokeCertificates(ctx, authority, name, serials),
      );
      if (json) sayJson(report);
      else say(revokedText(report));
      if (report.unreached.length > 0) process.exitCode = EXIT_CODES.unreachable;
    });
}

/** `coordinator ca status`. */
export function statusCommand(): Command {
  return new Command('status')
    .description('the authority, how far its rotation is, and what every agent shows and trusts')
    .action(async (_options: unknown, command: Command) => {
      const { directories, json } = globalOptionsOf(command);
      const { LocalAuthority } = await import('../../ca/operator.ts');
      const { certificatesOf } = await import('../../operations/index.ts');
      const report = await runOperation(command, 'look at the certificates', (ctx) =>
        certificatesOf(ctx, new LocalAuthority(directories.config)),
      );
      if (json) sayJson(report);
      else say(statusText(report));
      if (report.nodes.some((node) => 'error' in node)) process.exitCode = EXIT_CODES.unreachable;
    });
}

/** @throws SwarmcutError `usage` */
function serialNumber(text: string): string {
  const digits = text
    .replace(/^serial=/, '')
    .replaceAll(':', '')
    .toLowerCase();
  if (/^[0-9a-f]{1,64}$/.test(digits)) return digits.replace(/^0+(?=.)/, '');
  throw new SwarmcutError('usage', `"${text}" is not a serial number in hex`);
}

function short(digest: string): string {
  return digest.slice(0, 12);
}

function statusText(report: CertificatesReport): string {
  const lines = [`authority  ${short(report.authority)}`];
  if (report.rotation !== undefined)
    lines.push(
      paint(
        'yellow',
        `rotation   to ${short(report.rotation.to)}, phase ${report.rotation.phase}, since ${report.rotation.startedAt}`,
      ),
    );
  if (report.retired > 0) lines.push(`retired    ${report.retired}, for signatures of manifests only`);
  if (report.revoked.length > 0) lines.push(`revoked    ${report.revoked.length} certificates`);
  const rows = report.nodes.map((node) =>
    'error' in node
      ? [node.node, paint('red', 'no answer'), '', '', '']
      : [
          node.node,
          node.serial.slice(0, 12),
          node.notAfter.slice(0, 10),
          node.authority === undefined ? paint('red', 'unknown') : short(node.authority),
          node.trusted.map(short).join(', '),
        ],
  );
  const errors = report.nodes.flatMap((node) => ('error' in node ? [paint('red', `${node.node}: ${node.error}`)] : []));
  return [...lines, table(['NODE', 'CERTIFICATE', 'UNTIL', 'AUTHORITY', 'TRUSTS'], rows), ...errors].join('\n');
}

function planText({ rotation, nodes }: CertificatesReport, skip: readonly string[]): string {
  const taking = nodes.map(({ node }) => node).filter((node) => !skip.includes(node));
  const who = taking.join(', ');
  const phase = rotation?.phase ?? 'trust';
  return [
    ...(rotation === undefined ? ['would make a new authority'] : []),
    ...(phase === 'trust' ? [`would have ${who} trust both`] : []),
    ...(phase === 'drop' ? [] : [`would give ${who} and the coordinator new certificates`]),
    `would have ${who} trust the new authority alone`,
  ].join('\n');
}

function rotatedText({ authority, nodes, skipped }: RotateReport): string {
  const left =
    skipped.length === 0
      ? ''
      : `\nleft behind: ${skipped.join(', ')}; give them certificates by \`coordinator ca issue\``;
  return `the authority is ${short(authority)} now; ${nodes.join(', ')} have certificates of it${left}`;
}

function revokedText({ name, revoked, told, unreached }: RevokeReport): string {
  return [
    `${revoked.length === 1 ? 'the certificate' : `${revoked.length} certificates`} of ${name} ${revoked.length === 1 ? 'counts' : 'count'} no more${told.length === 0 ? '' : ` on ${told.join(', ')}`}`,
    ...unreached.map(({ node, error }) =>
      paint('red', `${node} could not be told, and trusts ${name} until it is: ${error}`),
    ),
  ].join('\n');
}
