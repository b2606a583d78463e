import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../src/model/errors.ts';
import type { Runner } from '../kernel/runner.ts';
import { InterruptedDumpError, NETLINK_NETFILTER, Netlink, attribute, attributes } from './netlink.ts';
import { PROXY_TABLE, setsScript } from './rules.ts';
import type { LocalConnection, ProxySets } from './rules.ts';
import { run } from './run.ts';
import { SystemCallError } from './sys.ts';

/** Between two writes at least: a storm of changes costs one nft each time. */
const PAUSE_MS = 20;
const RETRY_MS = 500;

/** From linux/netfilter/nf_tables.h and nfnetlink.h. */
const NFT_MSG_GETSETELEM = (10 << 8) | 13;
const NFPROTO_IPV4 = 2;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_DATA_VALUE = 1;
const NFGENMSG_BYTES = 4;

/** All sets that the sidecar feeds. */
export type WantedSets = Required<ProxySets>;

/** Keeps the sets in the kernel as they shall be: only what has changed is written, all changes at once, one after the other. */
export class KernelSets {
  readonly #command: readonly string[];
  readonly #runner: Runner;
  readonly #log: (message: string, details: object) => void;
  /** The text of each set as the kernel has it. */
  readonly #present = new Map<string, string>();
  #wanted: WantedSets | undefined;
  #working: Promise<void> | undefined;
  #dirty = false;
  #writtenAt = -PAUSE_MS;
  #closed = false;

  constructor(netns: string, log: (message: string, details: object) => void, runner: Runner = run) {
    this.#command = ['nsenter', `--net=${netns}`, 'nft', '-f', '-'];
    this.#log = log;
    this.#runner = runner;
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
    await sleep(Math.max(0, this.#writtenAt + PAUSE_MS - performance.now()));
    this.#dirty = false;
    try {
      await this.#apply();
    } catch (error) {
      this.#log('the sets of the proxy rules could not be written', { error: messageOf(error) });
      this.#present.clear();
      this.#dirty = true;
      await sleep(RETRY_MS);
    } finally {
      this.#working = undefined;
    }
  }

  async #apply(): Promise<void> {
    if (!this.#wanted) return;
    const changed: [string, string][] = [];
    for (const [name, elements] of Object.entries(this.#wanted)) {
      const script = setsScript({ [name]: elements });
      if (this.#present.get(name) !== script) changed.push([name, script]);
    }
    if (changed.length === 0) return;
    await this.#runner(this.#command, changed.map(([, script]) => script).join(''));
    for (const [name, script] of changed) this.#present.set(name, script);
    this.#writtenAt = performance.now();
  }
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
