import { createHash } from 'node:crypto';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Part } from '../../src/model/checkpoint.ts';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { connectAgent } from '../../src/rpc/index.ts';
import type { AgentClient } from '../../src/rpc/index.ts';
import { concurrently } from '../store/index.ts';
import type { PartStore } from '../store/index.ts';

/** Parts that are fetched at the same time, from all sources together. */
const PARALLEL = 3;

/** A node that has parts: its name (as in its certificate) and `host:port` of its agent. */
export interface PartSource {
  readonly node: string;
  readonly address: string;
}

export interface FetchOptions {
  readonly parts: readonly Pick<Part, 'sha256' | 'sizeBytes'>[];
  /** Who may have them, best first. */
  readonly sources: readonly PartSource[];
  readonly store: PartStore;
  /** Keep them in memory (`<run>`) rather than on disk. */
  readonly memory: boolean;
  /** This agent's own certificate. */
  readonly credentials: ChannelCredentials;
  readonly signal?: AbortSignal;
  /** Keeps the parts from being swept until `ledger.release(owner)`. */
  readonly owner?: string;
  /** Called after every chunk; bytes that were here already count as done. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Gets the parts that are not here yet from other nodes' agents, and checks every hash before a part becomes visible. A source that
 * cannot be reached, lacks a part or has a damaged one is made up for by the next.
 * @returns bytes that came over the network
 * @throws SwarmcutError `damaged` (all sources lack the part or have another hash), `unreachable` (no source answered), `interrupted`
 */
export async function fetchParts(options: FetchOptions): Promise<{ fetchedBytes: number }> {
  const wanted = new Map(options.parts.map((part) => [part.sha256, part.sizeBytes]));
  if (options.owner !== undefined) options.store.pin(options.owner, wanted.keys());
  const missing: Wanted[] = [];
  const progress = new Progress(
    [...wanted.values()].reduce((sum, size) => sum + size, 0),
    options.onProgress,
  );
  for (const [sha256, sizeBytes] of wanted) {
    // Only a part of the right size is taken for granted: hashes are checked when a part is taken in, and by `verify`.
    if ((await options.store.find(sha256))?.sizeBytes === sizeBytes) progress.add(sizeBytes);
    else missing.push({ sha256, sizeBytes });
  }
  // Big ones first: the last one under way decides when all are there.
  missing.sort((a, b) => b.sizeBytes - a.sizeBytes);
  const sources = new Sources(options);
  try {
    await concurrently(missing, PARALLEL, (part) => fetchOne(part, sources, options, progress));
  } finally {
    sources.close();
  }
  return { fetchedBytes: missing.reduce((sum, part) => sum + part.sizeBytes, 0) };
}

interface Wanted {
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Clients of the sources, made when first needed; remembers who could not be reached. */
class Sources {
  readonly #options: FetchOptions;
  readonly #clients = new Map<PartSource, AgentClient>();
  readonly #unreachable = new Map<PartSource, SwarmcutError>();

  constructor(options: FetchOptions) {
    this.#options = options;
  }

  get all(): readonly PartSource[] {
    return this.#options.sources;
  }

  whyNot(source: PartSource): SwarmcutError | undefined {
    return this.#unreachable.get(source);
  }

  /** So that a dead node is waited for once, not for each part. */
  failed(source: PartSource, error: SwarmcutError): void {
    if (error.code === 'unreachable') this.#unreachable.set(source, error);
  }

  client(source: PartSource): AgentClient {
    let client = this.#clients.get(source);
    if (client === undefined) {
      client = connectAgent({ ...source, credentials: this.#options.credentials });
      this.#clients.set(source, client);
    }
    return client;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }
}

class Progress {
  #done = 0;
  readonly #total: number;
  readonly #report: FetchOptions['onProgress'];

  constructor(total: number, report: FetchOptions['onProgress']) {
    this.#total = total;
    this.#report = report;
  }

  /** Negative: a source has failed, and what came from it does not count. */
  add(bytes: number): void {
    this.#done += bytes;
    this.#report?.(this.#done, this.#total);
  }
}

async function fetchOne(part: Wanted, sources: Sources, options: FetchOptions, progress: Progress): Promise<void> {
  const failures: SwarmcutError[] = [];
  for (const source of sources.all) {
    const known = sources.whyNot(source);
    if (known !== undefined) {
      failures.push(known);
      continue;
    }
    try {
      await receive(part, sources.client(source), options, progress);
      return;
    } catch (error) {
      const failure =
        error instanceof SwarmcutError
          ? error
          : new SwarmcutError('failed', `part ${part.sha256} from node ${source.node}: ${messageOf(error)}`, {
              cause: error,
            });
      // Not the source's fault: no other one will do better.
      if (options.signal?.aborted === true || failure.code === 'failed') throw failure;
      sources.failed(source, failure);
      failures.push(failure);
    }
  }
  const onlyUnreachable = failures.length > 0 && failures.every(({ code }) => code === 'unreachable');
  const reasons = failures.map((failure) => failure.message).join('; ') || 'no node is known to have it';
  throw new SwarmcutError(
    onlyUnreachable ? 'unreachable' : 'damaged',
    `part ${part.sha256} (${part.sizeBytes} bytes) cannot be fetched: ${reasons}`,
    { advice: 'See `coordinator verify` for which parts are missing or damaged, and on which nodes.' },
  );
}

async function receive(part: Wanted, client: AgentClient, options: FetchOptions, progress: Progress): Promise<void> {
  const { sha256, sizeBytes } = part;
  const temporary = await options.store.temporaryFile({ memory: options.memory });
  const hash = createHash('sha256');
  let received = 0;
  const broken = (problem: string): SwarmcutError =>
    new SwarmcutError('damaged', `node ${client.node} sent part ${sha256} with ${problem}`, {
      where: { node: client.node },
    });
  try {
    const stream = client.fetch({ sha256: [sha256] }, options.signal === undefined ? {} : { signal: options.signal });
    for await (const chunk of stream) {
      if (chunk.sha256 !== sha256 || chunk.offset !== received) throw broken('a gap');
      received += chunk.data.length;
      if (received > sizeBytes) throw broken(`more than ${sizeBytes} bytes`);
      hash.update(chunk.data);
      await temporary.handle.writeFile(chunk.data);
      progress.add(chunk.data.length);
    }
    if (received !== sizeBytes) throw broken(`${received} bytes instead of ${sizeBytes}`);
    const actual = hash.digest('hex');
    if (actual !== sha256) throw broken(`another hash: ${actual}`);
    await temporary.commit(sha256);
  } catch (error) {
    progress.add(-received);
    await temporary.discard();
    throw error;
  }
}
