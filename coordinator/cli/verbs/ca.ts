import { Command } from 'commander';
import { resolve } from 'node:path';
import type { Issued } from '../../ca/authority.ts';
import { renewCommand, revokeCommand, rotateCommand, statusCommand } from '../security/ca-commands.ts';
import { AGENT_IDENTITY_DIRECTORY } from '../../ca/layout.ts';
import { globalOptionsOf, parseCount } from '../options.ts';

/** `coordinator ca`: the certificates of coordinator and agents. There is no mode without them. */
export function caCommand(): Command {
  return new Command('ca')
    .description('certificates for the coordinator and the agents (mutual TLS)')
    .addCommand(initCommand())
    .addCommand(issueCommand())
    .addCommand(renewCommand())
    .addCommand(rotateCommand())
    .addCommand(revokeCommand())
    .addCommand(statusCommand());
}

function initCommand(): Command {
  return new Command('init')
    .description("make the certificate authority and the coordinator's own certificate")
    .option('--days <days>', 'validity of the authority (default: 3650)', parseCount)
    .option('--certificate-days <days>', "validity of the coordinator's certificate (default: 730)", parseCount)
    .option('--force', 'replace an existing authority; every certificate it signed becomes useless')
    .addHelpText(
      'after',
      `
Writes <config-dir>/ca/{ca.crt,ca.key,stack.key} and <config-dir>/coordinator/{ca.crt,tls.crt,tls.key}.
Keep ca.key on this machine; nobody else needs it. stack.key is what sidecars know each other by: \`ca issue\` gives it to each node.

Examples:
  coordinator ca init
  coordinator ca init --config-dir /srv/swarmcut --days 1825`,
    )
    .action(async (options: { days?: number; certificateDays?: number; force?: true }, command: Command) => {
      const { directories, json } = globalOptionsOf(command);
      // Loaded here: the certificate library costs every other verb a tenth of a second.
      const ca = await import('../../ca/authority.ts');
      const issued = await ca.initAuthority(directories.config, {
        days: options.days ?? ca.DEFAULT_AUTHORITY_DAYS,
        certificateDays: options.certificateDays ?? ca.DEFAULT_CERTIFICATE_DAYS,
        force: options.force ?? false,
        now: new Date(),
      });
      print(issued, json, 'next: `coordinator ca issue <node>` for every node of the Swarm');
    });
}

interface IssueOptions {
  coordinator?: true;
  address?: string[];
  out?: string;
  days?: number;
}

function issueCommand(): Command {
  return new Command('issue')
    .description("make a certificate for a node's agent")
    .argument('<node>', 'host name of the node, as `docker node ls` shows it')
    .option('--coordinator', 'one for a coordinator on this node instead: another manager, of the same authority')
    .option('--address <ip...>', 'addresses under which the agent is reached')
    .option('--out <dir>', 'where to write ca.crt, tls.crt, tls.key and stack.key (default: ./<node>)')
    .option('--days <days>', 'validity (default: 730)', parseCount)
    .addHelpText(
      'after',
      `
Copy the directory to ${AGENT_IDENTITY_DIRECTORY} on that node. Issuing again renews the certificate.
Every manager on which commands are to be run needs a coordinator's certificate: --coordinator makes one, for
<config-dir>/coordinator there. The authority itself stays where it is.

Examples:
  coordinator ca issue n1 --address 10.0.0.11
  coordinator ca issue n2 --address 10.0.0.12 fd00::12 --out /tmp/n2
  coordinator ca issue n2 --coordinator --out /tmp/n2-coordinator`,
    )
    .action(async (node: string, options: IssueOptions, command: Command) => {
      const { directories, json } = globalOptionsOf(command);
      const ca = await import('../../ca/authority.ts');
      if (options.coordinator === true) {
        const issued = await ca.issueForCoordinator(directories.config, {
          outDirectory: resolve(options.out ?? `${node}-coordinator`),
          days: options.days ?? ca.DEFAULT_CERTIFICATE_DAYS,
          now: new Date(),
        });
        print(issued, json, `next: copy these files to <config-dir>/coordinator on ${node}`);
        return;
      }
      const issued = await ca.issueForNode(directories.config, node, {
        addresses: options.address ?? [],
        outDirectory: resolve(options.out ?? node),
        days: options.days ?? ca.DEFAULT_CERTIFICATE_DAYS,
        now: new Date(),
      });
      print(issued, json, `next: copy these files to ${AGENT_IDENTITY_DIRECTORY} on ${node}`);
    });
}

function print(issued: Issued, json: boolean, next: string): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ files: issued.files, notAfter: issued.notAfter.toISOString() })}\n`);
    return;
  }
  const lines = issued.files.map((file) => `wrote ${file}`);
  process.stdout.write(`${lines.join('\n')}\nvalid until ${issued.notAfter.toISOString().slice(0, 10)}\n${next}\n`);
}
