import { createHash } from 'node:crypto';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Part } from '../../src/model/checkpoint.ts';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { connectAgent } from '../../src/rpc/index.ts';
import type { AgentClient, ReplyOf, RequestOf } from '../../src/rpc/index.ts';
import { DiskFullError } from '../../src/platform/disk-full.ts';
import { concurrently } from '../checkpoints/store/index.ts';
import type { PartStore } from '../checkpoints/store/index.ts';
import type { LateParts } from './late-parts.ts';
import { NoDirectWay, slowerWayText, type DirectWays } from './direct/ways.ts';
import { promptCollection } from './prompt-collection.ts';
import { Progress, broken, type PartSource, type Wanted } from './wanted.ts';

export type { PartSource } from './wanted.ts';

/** Calls at the same time, to all sources together. */
export const PARALLEL = 3;

/** Parts up to this size are asked for together. Bytes. */
const SMALL_BYTES = 256 * 1024;

/** Small parts in one call, together. Bytes. */
const BATCH_BYTES = 4 * 1024 * 1024;

export interface FetchOptions {
  readonly parts: readonly Pick<Part, 'sha256' | 'sizeBytes'>[];
  /** Who may have them, best first. */
  readonly sources: readonly PartSource[];
  /** The coordinator's word that this node may fetch them. */
  readonly ticket: NonNullable<RequestOf<'fetch'>['ticket']> | null;
  readonly store: PartStore;
  /** Keep them in memory (`<run>`) rather than on disk. */
  readonly memory: boolean;
  /** Connections to other agents, which outlive the call. */
  readonly peers: PeerAgents;
  /** The quicker way to other agents, if there is one. */
  readonly direct?: DirectWays | undefined;
  /**
   * Large parts that come directly from the first source, which has made the checkpoint, are handed over there before they are checked: whoever asks for it must wait for
   * them before anything is done with them that cannot be taken back.
   */
  readonly late?: LateParts | undefined;
  /** Told once of each source that is fetched from by gRPC although there should be a quicker way, and why. */
  readonly onSlowerWay?: (text: string) => void;
  readonly signal?: AbortSignal;
  /** Keeps the parts from being swept until `ledger.release(owner)`. */
  readonly owner?: string;
  /** Called several times a second, and when all is there; bytes that were here already count as done. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Gets the parts that are not here yet from other nodes' agents, and checks every hash before a part becomes visible. A source that
 * cannot be reached, lacks a part or has a damaged one is made up for by the next.
 * @returns bytes that came over the network
 * @throws DiskFullError; SwarmcutError `precondition` (a source does not admit us), `damaged` (all sources lack the part or have another hash), `unreachable` (a source that may have it does not answer), `interrupted`
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
  using _collection = promptCollection();
  await concurrently(batches(missing), PARALLEL, (batch) => fetchBatch(batch, sources, options, progress));
  return { fetchedBytes: missing.reduce((sum, part) => sum + part.sizeBytes, 0) };
}

/** An agent's connections to the agents of other nodes: made when first needed, and kept, since making one takes longer than most parts. */
export class PeerAgents {
  readonly #clients = new Map<string, AgentClient>();
  readonly #credentials: () => ChannelCredentials;

  /** @param credentials this agent's own certificate, asked for with each connection */
  constructor(credentials: ChannelCredentials | (() => ChannelCredentials)) {
    this.#credentials = typeof credentials === 'function' ? credentials : () => credentials;
  }

  client({ node, address }: PartSource): AgentClient {
    const key = `${node} ${address}`;
    let client = this.#clients.get(key);
    if (client === undefined) {
      client = connectAgent({ node, address, credentials: this.#credentials() });
      this.#clients.set(key, client);
    }
    return client;
  }

  /** Ends the connections as soon as their calls have ended; others are made when they are needed. */
  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

/** The sources of one fetch; remembers who could not be reached. */
class Sources {
  readonly #options: FetchOptions;
  readonly #unreachable = new Map<PartSource, SwarmcutError>();
  readonly #slower = new Set<PartSource>();

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
    return this.#options.peers.client(source);
  }

  slower(source: PartSource, why: NoDirectWay): void {
    if (this.#slower.has(source)) return;
    this.#slower.add(source);
    this.#options.onSlowerWay?.(slowerWayText(source, why));
  }
}

/**
 * Parts that are asked for together: a big one alone, small ones many at a time, since a call costs more than they do.
 * @param missing biggest first
 */
function batches(missing: readonly Wanted[]): Wanted[][] {
  const result: Wanted[][] = [];
  let small: Wanted[] = [];
  let bytes = 0;
  for (const part of missing) {
    if (part.sizeBytes > SMALL_BYTES) {
      result.push([part]);
      continue;
    }
    if (bytes + part.sizeBytes > BATCH_BYTES) {
      result.push(small);
      small = [];
      bytes = 0;
    }
    small.push(part);
    bytes += part.sizeBytes;
  }
  return small.length === 0 ? result : [...result, small];
}

async function fetchBatch(
  batch: readonly Wanted[],
  sources: Sources,
  options: FetchOptions,
  progress: Progress,
): Promise<void> {
  const failures: SwarmcutError[] = [];
  let left = batch;
  for (const source of sources.all) {
    const known = sources.whyNot(source);
    if (known !== undefined) {
      failures.push(known);
      continue;
    }
    const got = new Set<Wanted>();
    try {
      await receiveFrom(source, left, sources, options, progress, (part) => got.add(part));
      return;
    } catch (error) {
      left = left.filter((part) => !got.has(part));
      const failure =
        error instanceof SwarmcutError
          ? error
          : new SwarmcutError('failed', `part ${left[0]?.sha256 ?? ''} from node ${source.node}: ${messageOf(error)}`, {
              cause: error,
            });
      // Not the source's fault: no other one will do better.
      if (options.signal?.aborted === true || failure.code === 'failed' || failure instanceof DiskFullError)
        throw failure;
      sources.failed(source, failure);
      failures.push(failure);
    }
  }
  const [part] = left;
  if (part === undefined) return;
  // One that nobody has must not keep those behind it in the batch from being found elsewhere, nor hide which one it is.
  if (left.length > 1) {
    for (const single of left) await fetchBatch([single], sources, options, progress);
    return;
  }
  // Who cannot be asked may have it, unless it was found and is damaged.
  const codes = new Set(failures.map(({ code }) => code));
  const unreachable = codes.has('unreachable') && !codes.has('damaged');
  const reasons = failures.map((failure) => failure.message).join('; ') || 'no node is known to have it';
  throw new SwarmcutError(
    codes.has('precondition') ? 'precondition' : unreachable ? 'unreachable' : 'damaged',
    `part ${part.sha256} (${part.sizeBytes} bytes) cannot be fetched: ${reasons}`,
    {
      advice: unreachable
        ? 'Bring the agent back, and run the command again.'
        : 'See `coordinator verify` for which parts are missing or damaged, and on which nodes.',
    },
  );
}

/** Receives parts the quickest way that there is. @param onPart called when a part is in the store */
async function receiveFrom(
  source: PartSource,
  parts: readonly Wanted[],
  sources: Sources,
  options: FetchOptions,
  progress: Progress,
  onPart: (part: Wanted) => void,
): Promise<void> {
  const { direct, store, memory, ticket, signal } = options;
  const got = new Set<Wanted>();
  const note = (part: Wanted): void => {
    got.add(part);
    onPart(part);
  };
  try {
    if (direct !== undefined) {
      const late = source === sources.all[0] ? options.late : undefined;
      await direct.fetch({ source, parts, store, memory, ticket, signal, progress, late, onPart: note });
      return;
    }
  } catch (error) {
    if (signal?.aborted === true && !(error instanceof SwarmcutError))
      throw new SwarmcutError('interrupted', `fetching from node ${source.node} was interrupted`, { cause: error });
    if (!(error instanceof NoDirectWay)) throw error;
    sources.slower(source, error);
  }
  const left = parts.filter((part) => !got.has(part));
  await receive(left, sources.client(source), options, progress, onPart);
}

/** Receives parts by gRPC, in the order asked for. @param onPart called when a part is in the store */
async function receive(
  parts: readonly Wanted[],
  client: AgentClient,
  options: FetchOptions,
  progress: Progress,
  onPart: (part: Wanted) => void,
): Promise<void> {
  const request = { sha256: parts.map(({ sha256 }) => sha256), ticket: options.ticket };
  const stream = client.fetch(request, options.signal === undefined ? {} : { signal: options.signal });
  const chunks = stream[Symbol.asyncIterator]();
  try {
    for (const part of parts) {
      await receivePart(part, chunks, client.node, options, progress);
      onPart(part);
    }
  } finally {
    await chunks.return?.();
  }
}

async function receivePart(
  { sha256, sizeBytes }: Wanted,
  chunks: AsyncIterator<ReplyOf<'fetch'>>,
  node: string,
  options: FetchOptions,
  progress: Progress,
): Promise<void> {
  const temporary = await options.store.temporaryFile({ memory: options.memory });
  const hash = createHash('sha256');
  let received = 0;
  try {
    for (let last = false; !last;) {
      const next = await chunks.next();
      if (next.done === true) throw broken(node, sha256, `${received} bytes instead of ${sizeBytes}`);
      const chunk = next.value;
      if (chunk.sha256 !== sha256 || chunk.offset !== received) throw broken(node, sha256, 'a gap');
      received += chunk.data.length;
      if (received > sizeBytes) throw broken(node, sha256, `more than ${sizeBytes} bytes`);
      hash.update(chunk.data);
      await temporary.write(chunk.data);
      progress.add(chunk.data.length);
      last = chunk.last;
    }
    if (received !== sizeBytes) throw broken(node, sha256, `${received} bytes instead of ${sizeBytes}`);
    const actual = hash.digest('hex');
    if (actual !== sha256) throw broken(node, sha256, `another hash: ${actual}`);
    await temporary.commit(sha256);
  } catch (error) {
    progress.add(-received);
    await temporary.discard();
    throw error;
  }
}
