import { readFile } from 'node:fs/promises';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { addressText } from '../../../src/model/address.ts';
import { connectionKey, type Connection, type DatagramSocket, type Endpoint } from '../../../src/model/connection.ts';
import { inNetwork, runProcess, type Runner } from '../../../src/platform/processes.ts';

/** TCP states by the numbers of /proc/net/tcp (include/net/tcp_states.h) that have, or may still have, a peer that matters. */
const STATES: Readonly<Record<string, string>> = {
  '01': 'ESTABLISHED',
  '02': 'SYN_SENT',
  '04': 'FIN_WAIT1',
  '05': 'FIN_WAIT2',
  '08': 'CLOSE_WAIT',
  '09': 'LAST_ACK',
  '0B': 'CLOSING',
};

/** A UDP socket's state in /proc/net/udp when it is connected. */
const CONNECTED = '01';

/** How many connections one `ss` filter names. */
const FILTER_SIZE = 50;

/**
 * The TCP connections in the text of /proc/net/tcp or tcp6: established ones, those being made by us and closing ones, without those over the loopback
 * addresses. Sequence numbers are not in there (`sequencesKnown` is false). IPv4-mapped addresses come as IPv4.
 */
export function parseProcTcp(text: string): Connection[] {
  const connections: Connection[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [, localHex, remoteHex, stateHex, queues] = line.trim().split(/\s+/);
    const state = STATES[stateHex ?? ''];
    if (localHex === undefined || remoteHex === undefined || state === undefined) continue;
    const local = endpoint(localHex);
    if (isLoopback(local.address)) continue;
    const [send = '0', receive = '0'] = (queues ?? '').split(':');
    connections.push({
      local,
      remote: endpoint(remoteHex),
      state,
      sndUna: 0,
      sndNxt: 0,
      writeSeq: 0,
      rcvNxt: 0,
      sendQueueBytes: Number.parseInt(send, 16),
      recvQueueBytes: Number.parseInt(receive, 16),
      sequencesKnown: false,
    });
  }
  return connections;
}

/** The connected UDP sockets in the text of /proc/net/udp or udp6, without those over the loopback addresses. */
export function parseProcUdp(text: string): DatagramSocket[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, localHex, remoteHex, state] = line.trim().split(/\s+/);
      if (localHex === undefined || remoteHex === undefined || state !== CONNECTED) return [];
      const socket = { local: endpoint(localHex), remote: endpoint(remoteHex) };
      return isLoopback(socket.remote.address) ? [] : [socket];
    });
}

/** The TCP connections of the network namespace that process `pid` is in. @throws SwarmcutError `not-found` if there is no such process. */
export async function listConnections(pid: number): Promise<Connection[]> {
  return (await Promise.all(['tcp', 'tcp6'].map((name) => readTable(pid, name)))).flatMap(parseProcTcp);
}

/** The connected UDP sockets there. @throws as {@link listConnections} */
export async function listDatagramSockets(pid: number): Promise<DatagramSocket[]> {
  return (await Promise.all(['udp', 'udp6'].map((name) => readTable(pid, name)))).flatMap(parseProcUdp);
}

async function readTable(pid: number, name: string): Promise<string> {
  return readFile(`/proc/${pid}/net/${name}`, 'utf8').catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code;
    if (name.endsWith('6') && code === 'ENOENT') return ''; // a kernel without IPv6
    throw new SwarmcutError('not-found', `the connections of process ${pid} cannot be read (${String(code)})`, {
      cause: error,
    });
  });
}

/**
 * Ends connections of a network namespace at once: their sockets fail with ECONNABORTED, and their peers are sent a reset (so call it while
 * nothing is blocked). Connections that are no longer there are no error.
 * @throws SwarmcutError `failed` naming those that are still there afterwards (a kernel without CONFIG_INET_DIAG_DESTROY).
 */
export async function resetConnections(
  netns: string,
  connections: readonly Pick<Connection, 'local' | 'remote'>[],
  runner: Runner = runProcess,
): Promise<void> {
  const inside = (command: string[]): Promise<string> => runner(inNetwork(netns, command));
  for (let at = 0; at < connections.length; at += FILTER_SIZE) {
    await inside(['ss', '-K', '-H', '-t', '-n', '-a', ssFilter(connections.slice(at, at + FILTER_SIZE))]);
  }
  if (connections.length === 0) return;
  const shown = await inside(['sh', '-c', 'cat /proc/net/tcp; if [ -e /proc/net/tcp6 ]; then cat /proc/net/tcp6; fi']);
  const present = new Set(parseProcTcp(shown).map(connectionKey));
  const left = connections.map(connectionKey).filter((key) => present.has(key));
  if (left.length > 0) {
    throw new SwarmcutError('failed', `could not reset ${left.join(', ')} in ${netns}`, {
      advice: 'this needs a kernel with CONFIG_INET_DIAG_DESTROY',
    });
  }
}

/** The filter expression of `ss` that matches exactly these connections. */
export function ssFilter(connections: readonly Pick<Connection, 'local' | 'remote'>[]): string {
  return connections
    .map(({ local, remote }) => `( src = ${ssEndpoint(local)} and dst = ${ssEndpoint(remote)} )`)
    .join(' or ');
}

function ssEndpoint({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** `0501000A:1F90` → 10.0.1.5:8080. Addresses are 32-bit words in the machine's order (little-endian on all that Docker runs on here). */
function endpoint(text: string): Endpoint {
  const [hexAddress = '', hexPort = ''] = text.split(':');
  const words = hexAddress.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16)));
  return { address: addressText(bytes), port: Number.parseInt(hexPort, 16) };
}
