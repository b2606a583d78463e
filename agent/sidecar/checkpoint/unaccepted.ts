import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { connectionKey } from '../../../src/model/connection.ts';
import type { Endpoint } from '../../../src/model/connection.ts';
import { addressText } from '../../../src/model/address.ts';
import { inNetns } from '../../linux/sys.ts';

/** ESTABLISHED and CLOSE_WAIT: a socket in one of these states that belongs to no file waits in its listener's queue. */
const STATES: readonly string[] = ['01', '08'];
/** Columns of /proc/net/tcp, separated by blanks. */
const LOCAL = 1;
const REMOTE = 2;
const STATE = 3;
const INODE = 9;

/**
 * Connections of a network namespace that its applications have not accepted, although their kernel has: CRIU does not save them.
 * @returns keys as `connectionKey` makes them, for the application's end
 */
export function unacceptedIn(netns: string): ReadonlySet<string> {
  const read = (file: string): string => {
    try {
      return readFileSync(`/proc/thread-self/net/${file}`, 'utf8');
    } catch {
      return ''; // no IPv6
    }
  };
  return parseUnaccepted(inNetns(netns, () => [read('tcp'), read('tcp6')]));
}

/** @param tables contents of /proc/net/tcp and tcp6 */
export function parseUnaccepted(tables: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const line of tables.flatMap((table) => table.split('\n').slice(1))) {
    const columns = line.trim().split(/\s+/);
    if (columns[INODE] !== '0' || !STATES.includes(columns[STATE] ?? '')) continue;
    found.add(connectionKey({ local: endOf(columns[LOCAL] ?? ''), remote: endOf(columns[REMOTE] ?? '') }));
  }
  return found;
}

/** `0100007F:1F90`: 32-bit words in the machine's byte order. */
function endOf(text: string): Endpoint {
  const [hex = '', port = ''] = text.split(':');
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => {
    const inOrder = [...Buffer.from(word, 'hex')];
    return endianness() === 'LE' ? inOrder.reverse() : inOrder;
  });
  return { address: addressText(bytes), port: Number.parseInt(port, 16) };
}
