import { messageOf } from '../../../src/model/errors.ts';
import { pause } from '../../../src/platform/deadlines.ts';
import { InterruptedDumpError, NETLINK_NETFILTER, Netlink, attribute, attributes } from '../../linux/netlink.ts';
import {
  NFTA_DATA_VALUE,
  NFTA_SET_ELEM_KEY,
  NFTA_SET_ELEM_LIST_ELEMENTS,
  NFTA_SET_ELEM_LIST_SET,
  NFTA_SET_ELEM_LIST_TABLE,
  replaceElements,
  type SetElement,
} from '../../linux/set-elements.ts';
import { PROXY_TABLE } from '../../linux/proxy-table.ts';
import { setContents, type LocalConnection, type ProxySets } from '../../linux/proxy-sets.ts';
import { SystemCallError } from '../../linux/sys.ts';

/** Between two writes at least, in a storm of changes. */
const PAUSE_MS = 20;
const RETRY_MS = 500;

/** From linux/netfilter/nf_tables.h and nfnetlink.h. */
const NFT_MSG_GETSETELEM = (10 << 8) | 13;
const NFPROTO_IPV4 = 2;
const NFGENMSG_BYTES = 4;

/** All sets that the sidecar feeds. */
export type WantedSets = Required<ProxySets>;

/** Keeps the sets in the kernel as they shall be: only what has changed is written, all changes at once, one after the other. */
export class KernelSets {
  readonly #netns: string;
  readonly #log: (message: string, details: object) => void;
  /** Each set as the kernel has it. */
  readonly #present = new Map<string, string>();
  #wanted: WantedSets | undefined;
  #working: Promise<void> | undefined;
  #dirty = false;
  #writtenAt = -PAUSE_MS;
  #closed = false;

  constructor(netns: string, log: (message: string, details: object) => void) {
    this.#netns = netns;
    this.#log = log;
  }

  /** Resolves when the kernel has these, or newer ones. A failure is logged, and tried again for as long as it takes. */
  async want(sets: WantedSets): Promise<void> {
    this.#wanted = sets;
    this.#dirty = true;
    const open = (): boolean => this.#dirty && !this.#closed;
    while (open()) await (this.#working ??= this.#work());
    // What was being written when this was called may have been older; what is being written now is not.
    await this.#working;
  }

  close(): void {
    this.#closed = true;
  }

  async #work(): Promise<void> {
    await pause(Math.max(0, this.#writtenAt + PAUSE_MS - performance.now()));
    this.#dirty = false;
    try {
      this.#apply();
    } catch (error) {
      this.#log('the sets of the proxy rules could not be written', { error: messageOf(error) });
      this.#present.clear();
      this.#dirty = true;
      await pause(RETRY_MS);
    } finally {
      this.#working = undefined;
    }
  }

  #apply(): void {
    if (!this.#wanted) return;
    const changed = new Map<string, { readonly elements: SetElement[]; readonly text: string }>();
    for (const [name, elements] of Object.entries(setContents(this.#wanted))) {
      const text = textOf(elements);
      if (this.#present.get(name) !== text) changed.set(name, { elements, text });
    }
    if (changed.size === 0) return;
    replaceElements(
      this.#netns,
      PROXY_TABLE,
      Object.fromEntries([...changed].map(([name, { elements }]) => [name, elements])),
    );
    for (const [name, { text }] of changed) this.#present.set(name, text);
    this.#writtenAt = performance.now();
  }
}

function textOf(elements: readonly SetElement[]): string {
  return elements.map(({ key, intervalEnd }) => `${key.toString('hex')}${intervalEnd === true ? '-' : ''}`).join(' ');
}

/** Reads sets of the proxy's table. */
export class SetReader {
  readonly #netlink: Netlink;

  /** @throws SystemCallError when the namespace is gone */
  constructor(netns: string) {
    this.#netlink = new Netlink(netns, NETLINK_NETFILTER);
  }

  /** The elements of a set of addresses; none if there is no such set. About 70 µs. */
  addresses(set: 'asked' | 'peers'): string[] {
    return this.#keys(set).map((key) => addressAt(key, 0));
  }

  /** The elements of a set of connections; none if there is no such set. */
  connections(set: 'direct'): LocalConnection[] {
    // Each part of a key is padded to 4 bytes.
    return this.#keys(set).map((key) => ({
      local: { address: addressAt(key, 0), port: key.readUInt16BE(4) },
      remote: { address: addressAt(key, 8), port: key.readUInt16BE(12) },
    }));
  }

  close(): void {
    this.#netlink.close();
  }

  #keys(set: string): Buffer[] {
    const keys: Buffer[] = [];
    const name = (text: string): Buffer => Buffer.from(`${text}\0`);
    const request = Buffer.concat([
      Buffer.from([NFPROTO_IPV4, 0, 0, 0]),
      attribute(NFTA_SET_ELEM_LIST_TABLE, name(PROXY_TABLE.split(' ')[1] ?? '')),
      attribute(NFTA_SET_ELEM_LIST_SET, name(set)),
    ]);
    try {
      this.#netlink.dump(NFT_MSG_GETSETELEM, request, (body) => keys.push(...keysIn(body)));
    } catch (error) {
      if (error instanceof InterruptedDumpError) return [...keys];
      if (!(error instanceof SystemCallError && error.code === 'ENOENT')) throw error;
    }
    return keys;
  }
}

/** @param body one message of type NFT_MSG_NEWSETELEM */
export function keysIn(body: Buffer): Buffer[] {
  const keys: Buffer[] = [];
  for (const list of attributes(body.subarray(NFGENMSG_BYTES))) {
    if (list.type !== NFTA_SET_ELEM_LIST_ELEMENTS) continue;
    for (const element of attributes(list.value))
      for (const part of attributes(element.value))
        if (part.type === NFTA_SET_ELEM_KEY)
          for (const data of attributes(part.value))
            if (data.type === NFTA_DATA_VALUE) keys.push(Buffer.from(data.value));
  }
  return keys;
}

function addressAt(key: Buffer, at: number): string {
  return key.subarray(at, at + 4).join('.');
}
