import { Netlink, NETLINK_NETFILTER, attribute } from './netlink.ts';

/**
 * The elements of nftables' sets, written over netlink (linux/netfilter/nf_tables.h): 0.1 ms, where the program `nft` costs 20 ms and two
 * processes, several of which a task would wait for while it stands still. Everything else about tables, sets and rules is nft's.
 */
const NFT_MSG_NEWSETELEM = (10 << 8) | 12;
const NFT_MSG_DELSETELEM = (10 << 8) | 14;
export const NFTA_SET_ELEM_LIST_TABLE = 1;
export const NFTA_SET_ELEM_LIST_SET = 2;
export const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_LIST_ELEM = 1;
export const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_FLAGS = 3;
const NFTA_SET_ELEM_TIMEOUT = 4;
const NFT_SET_ELEM_INTERVAL_END = 1;
export const NFTA_DATA_VALUE = 1;
const NLA_F_NESTED = 0x8000;
/** An attribute has at most 64 KiB. */
const ELEMENTS_PER_MESSAGE = 800;

/**
 * Closing the socket waits until the kernel has let go of the elements that were there before (nft_rcv_nl_event), which takes 10 ms and more. So
 * that is not done while a task stands still.
 */
const CLOSE_AFTER_MS = 500;

/** Families of tables (`NFPROTO_*`). */
const FAMILIES = { inet: 1, ip: 2 } as const;

export interface SetElement {
  /** As the packet has it; each part of a concatenation padded to 4 bytes. */
  readonly key: Buffer;
  /** It goes by itself after this long. */
  readonly timeoutMs?: number;
  /** The first key after an interval. */
  readonly intervalEnd?: boolean;
}

/** Elements by the set's name. */
export type SetContents = Readonly<Record<string, readonly SetElement[]>>;

/**
 * Replaces the elements of some sets of a table, all at once or not at all.
 * @param table `inet swarmcut`
 * @throws SystemCallError `ENOENT` when there is no such namespace, table or set
 */
export function replaceElements(netns: string, table: string, contents: SetContents): void {
  apply(netns, [
    ...messages(NFT_MSG_DELSETELEM, table, emptied(contents)),
    ...messages(NFT_MSG_NEWSETELEM, table, contents),
  ]);
}

/** Adds elements to sets of a table, all or none; those that are there already stay. @throws SystemCallError as {@link replaceElements} */
export function addElements(netns: string, table: string, contents: SetContents): void {
  apply(netns, messages(NFT_MSG_NEWSETELEM, table, contents));
}

interface Message {
  readonly type: number;
  readonly body: Buffer;
}

function apply(netns: string, wanted: readonly Message[]): void {
  if (wanted.length === 0) return;
  const netlink = new Netlink(netns, NETLINK_NETFILTER);
  try {
    netlink.transaction(wanted);
  } finally {
    setTimeout(() => netlink.close(), CLOSE_AFTER_MS).unref();
  }
}

/** Deleting without naming elements deletes all. */
function emptied(contents: SetContents): Record<string, undefined> {
  return Object.fromEntries(Object.keys(contents).map((set) => [set, undefined]));
}

function messages(
  type: number,
  table: string,
  contents: Readonly<Record<string, readonly SetElement[] | undefined>>,
): Message[] {
  const [family, name = ''] = table.split(' ');
  const head = Buffer.from([FAMILIES[family as keyof typeof FAMILIES], 0, 0, 0]);
  return Object.entries(contents).flatMap(([set, elements]) => {
    const whose = Buffer.concat([
      head,
      attribute(NFTA_SET_ELEM_LIST_TABLE, text(name)),
      attribute(NFTA_SET_ELEM_LIST_SET, text(set)),
    ]);
    if (elements === undefined) return [{ type, body: whose }];
    const pieces: Message[] = [];
    for (let at = 0; at < elements.length; at += ELEMENTS_PER_MESSAGE) {
      const some = Buffer.concat(elements.slice(at, at + ELEMENTS_PER_MESSAGE).map(encoded));
      const list = attribute(NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, some);
      pieces.push({ type, body: Buffer.concat([whose, list]) });
    }
    return pieces;
  });
}

function encoded({ key, timeoutMs, intervalEnd }: SetElement): Buffer {
  const parts = [attribute(NFTA_SET_ELEM_KEY | NLA_F_NESTED, attribute(NFTA_DATA_VALUE, key))];
  if (intervalEnd === true) {
    const flags = Buffer.alloc(4);
    flags.writeUInt32BE(NFT_SET_ELEM_INTERVAL_END);
    parts.push(attribute(NFTA_SET_ELEM_FLAGS, flags));
  }
  if (timeoutMs !== undefined) {
    const timeout = Buffer.alloc(8);
    timeout.writeBigUInt64BE(BigInt(Math.max(1, Math.ceil(timeoutMs))));
    parts.push(attribute(NFTA_SET_ELEM_TIMEOUT, timeout));
  }
  return attribute(NFTA_LIST_ELEM | NLA_F_NESTED, Buffer.concat(parts));
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

/** An IPv4 address. */
export function addressKey(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** `ipv4_addr . inet_service`, once or several times. */
export function endsKey(...ends: readonly { readonly address: string; readonly port: number }[]): Buffer {
  return Buffer.concat(
    ends.map(({ address, port }) => Buffer.concat([addressKey(address), Buffer.from([port >> 8, port & 0xff, 0, 0])])),
  );
}

/**
 * The elements of a set with `flags interval` of IPv4 subnets: the first address of each interval, and the first after it. Subnets that
 * overlap or touch become one interval.
 * @param subnets CIDR
 */
export function intervalElements(subnets: readonly string[]): SetElement[] {
  const ranges = subnets
    .map((subnet) => {
      const [address = '', bits = '32'] = subnet.split('/');
      const size = 2 ** (32 - Number(bits));
      const from = Math.floor(addressKey(address).readUInt32BE() / size) * size;
      return { from, to: from + size };
    })
    .sort((a, b) => a.from - b.from);
  const merged: { from: number; to: number }[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last && range.from <= last.to) last.to = Math.max(last.to, range.to);
    else merged.push(range);
  }
  return merged.flatMap(({ from, to }) => [
    { key: numberKey(from) },
    ...(to > 0xffffffff ? [] : [{ key: numberKey(to), intervalEnd: true }]),
  ]);
}

function numberKey(value: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32BE(value);
  return key;
}
