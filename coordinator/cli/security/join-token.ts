import { networkInterfaces, hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { DEFAULT_JOIN_PORT, joinTokenText } from '../../../src/rpc/identity/join-protocol.ts';
import { globalOptionsOf, parseCount, parseDuration } from '../options.ts';
import { say } from '../output/output.ts';

interface Options {
  wait?: true;
  for: number;
  listen: string;
  uses: number;
  node?: string;
  replace?: true;
  days?: number;
}

const DEFAULT_FOR_MS = 10 * 60_000;

/** `coordinator join-token`. */
export function joinTokenCommand(): Command {
  return new Command('join-token')
    .description('let a node join: gives it its certificate when it shows the token')
    .option('--wait', 'wait for the node (there is no other mode yet)')
    .option('--for <duration>', 'how long the token is good for', parseDuration, DEFAULT_FOR_MS)
    .option('--listen <host:port>', 'where to wait', `0.0.0.0:${DEFAULT_JOIN_PORT}`)
    .option('--uses <count>', 'how many nodes may join by it', parseCount, 1)
    .option('--node <name>', 'only the node of this name')
    .option('--replace', 'also a node whose name has a certificate already')
    .option('--days <days>', 'validity of the certificates (default: 730)', parseCount)
    .addHelpText(
      'after',
      `
Prints the command to type on the node, and ends when the token is used or has expired. The token is shown once and kept nowhere: who has it, and
reaches this port meanwhile, can join. It names the authority, so that the node believes nobody else.

Examples:
  coordinator join-token --wait
  coordinator join-token --wait --node n4 --for 2m --listen 10.0.0.10:7434`,
    )
    .action(async (options: Options, command: Command) => {
      const { directories, json } = globalOptionsOf(command);
      if (options.wait !== true)
        throw new SwarmcutError('usage', 'a token is good for as long as this command waits for the node', {
          advice: 'give --wait',
        });
      const [host, port] = splitAddress(options.listen);
      const { listenForJoins } = await import('../../ca/join-listener.ts');
      const expiresAtMs = Date.now() + options.for;
      const line = (value: object, text: string): void => {
        if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
        else say(text);
      };
      let joined = 0;
      const listener = await listenForJoins({
        configDirectory: directories.config,
        host,
        port,
        uses: options.uses,
        expiresAtMs,
        replace: options.replace ?? false,
        ...(options.node === undefined ? {} : { node: options.node }),
        ...(options.days === undefined ? {} : { days: options.days }),
        onJoined: (node) => {
          joined++;
          line(
            { joined: node },
            `${node.node} has joined; its certificate is valid until ${node.notAfter.slice(0, 10)}`,
          );
        },
        onRefused: (message, address) => {
          if (!json) process.stderr.write(`refused (${address}): ${message}\n`);
        },
      });
      const address = `${addressText(host)}:${listener.port}`;
      const token = joinTokenText(listener.token);
      const join = `agent join --token ${token} ${address}`;
      const expiresAt = new Date(expiresAtMs).toISOString();
      line(
        { token, address, command: join, expiresAt },
        `On the node that is to join, as root, before ${expiresAt}:\n\n  ${join}\n`,
      );
      const aborter = new AbortController();
      const onSignal = (): void => aborter.abort();
      process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
      try {
        await Promise.race([
          listener.usedUp,
          delay(Math.max(0, expiresAtMs - Date.now()), undefined, { signal: aborter.signal }).catch(() => undefined),
        ]);
      } finally {
        process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
        aborter.abort();
        await listener.close();
      }
      if (joined >= options.uses) return;
      const much = `${joined} of ${options.uses} nodes have joined`;
      if (Date.now() < expiresAtMs)
        throw new SwarmcutError('interrupted', `interrupted: ${much}; the token is worth nothing now`);
      throw new SwarmcutError('precondition', `the token expired at ${expiresAt}: ${much}`);
    });
}

function splitAddress(text: string): [string, number] {
  const match = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new SwarmcutError('usage', `--listen ${text}: expected host:port, such as 0.0.0.0:${DEFAULT_JOIN_PORT}`);
  return [match[1] ?? match[2] ?? '', port];
}

/** An address of this machine that others may reach, where all are listened on. */
function addressText(host: string): string {
  if (!['0.0.0.0', '::'].includes(host)) return host.includes(':') ? `[${host}]` : host;
  const outer = Object.entries(networkInterfaces())
    .filter(([name]) => !/^(lo|docker|br-|veth)/.test(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4');
  return outer?.address ?? hostname();
}
