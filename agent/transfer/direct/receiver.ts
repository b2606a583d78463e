import { createHash, type Hash } from 'node:crypto';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { FrameReader, encodeHead } from '../../../src/formats/part-frames.ts';
import { deferred } from '../../../src/platform/deferred.ts';
import type { RequestOf } from '../../../src/rpc/index.ts';
import { FollowingHash } from '../../checkpoints/store/following-hash.ts';
import type { PartStore, TemporaryPart } from '../../checkpoints/store/index.ts';
import type { LateParts } from '../late-parts.ts';
import type { LostConnection, PartsConnection } from './connection.ts';
import { answerHeadSchema, type RequestHead } from './protocol.ts';
import { Slabs, type Piece } from './slabs.ts';
import { broken, type Progress, type Wanted } from '../wanted.ts';

/** Slabs of one connection: one is filled while others are written. */
const SLABS = 4;

/** A part up to this size is hashed where it comes in: in less time than it takes to start another thread. Bytes. */
const SMALL_BYTES = 16 * 1024 * 1024;

export interface ReceiverOptions {
  readonly store: PartStore;
  readonly memory: boolean;
  readonly ticket: RequestOf<'fetch'>['ticket'];
  /** Who sends. */
  readonly node: string;
  readonly progress: Progress;
  /** Large parts go there as soon as they are whole, to be checked while others work with them; default: they are checked before they count. */
  readonly late?: LateParts | undefined;
  /** A part is in the store, or with the late ones. */
  readonly onPart: (part: Wanted) => void;
}

/** One of the parts, on its way. */
class Incoming {
  readonly part: Wanted;
  file: TemporaryPart | undefined;
  /** Bytes that came, and those of them that are written. */
  came = 0;
  written = 0;
  here: Hash | undefined;
  there: FollowingHash | undefined;
  /** It is in the store. */
  done = false;

  constructor(part: Wanted) {
    this.part = part;
  }
}

/**
 * Takes parts from a connection into the store, in the order asked for, and checks their hashes. What has come when a connection breaks is kept, so that another one goes
 * on from there ({@link receive} again).
 */
export class PartsReceiver implements AsyncDisposable {
  readonly #parts: readonly Incoming[];
  readonly #options: ReceiverOptions;

  constructor(parts: readonly Wanted[], options: ReceiverOptions) {
    this.#parts = parts.map((part) => new Incoming(part));
    this.#options = options;
  }

  /** Grows while it gets on. Bytes. */
  get came(): number {
    return this.#parts.reduce((sum, { came }) => sum + came, 0);
  }

  /**
   * Asks for what is not here yet, and resolves when all of it is in the store.
   * @throws LostConnection: what is written stays; SwarmcutError that the other end has answered, `damaged` for bytes that are not the part's; DiskFullError; the signal's
   *   reason. After anything but LostConnection the connection is closed
   */
  async receive(connection: PartsConnection, signal?: AbortSignal): Promise<void> {
    const left = this.#parts.filter(({ done }) => !done);
    if (left.length === 0) return;
    const answered = deferred<undefined>();
    const slabs = new Slabs<Incoming>(
      SLABS,
      (pieces) => this.#write(pieces, answered.reject),
      () => connection.goOn(),
    );
    const cancel = (): void => answered.reject(signal?.reason);
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      this.#ask(left, connection, slabs, answered);
      await answered.promise;
      await slabs.flush();
    } catch (error) {
      connection.close();
      // Also what came before that counts.
      await slabs.flush().catch(() => undefined);
      throw slabs.failed ?? error;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** Parts that are not whole are forgotten. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const incoming of this.#parts) {
      if (incoming.done) continue;
      this.#options.progress.add(-incoming.written);
      incoming.there?.[Symbol.dispose]();
      await incoming.file?.discard();
    }
  }

  #ask(
    left: readonly Incoming[],
    connection: PartsConnection,
    slabs: Slabs<Incoming>,
    answered: { resolve: (_: undefined) => void; reject: (error: unknown) => void },
  ): void {
    const waiting = [...left];
    let current: Incoming | undefined;
    let follow = 0;
    const next = (): void => {
      if (follow > 0) return;
      current = undefined;
      if (waiting.length > 0) return;
      connection.release();
      answered.resolve(undefined);
    };
    const reader = new FrameReader({
      head: (head) => {
        current = waiting.shift();
        follow = this.#lengthOf(head, current);
        // Also one without a byte must be written.
        if (current !== undefined && follow === 0) slabs.add(current, current.came, EMPTY);
        next();
        return follow;
      },
      bytes: (bytes) => {
        if (current === undefined) return;
        slabs.add(current, current.came, bytes);
        current.came += bytes.length;
        follow -= bytes.length;
        next();
      },
    });
    const took = (bytes: Uint8Array): boolean => {
      try {
        reader.push(slabs.place(bytes));
        slabs.settle();
        return slabs.hasRoom;
      } catch (error) {
        connection.close();
        answered.reject(
          error instanceof SwarmcutError ? error : broken(this.#options.node, current?.part.sha256 ?? '', 'nonsense'),
        );
        return false;
      }
    };
    const lost = (error: LostConnection): void => answered.reject(error);
    connection.ask(encodeHead(this.#request(left)), { room: () => slabs.room(), took }, lost);
  }

  #request(left: readonly Incoming[]): RequestHead {
    const { ticket } = this.#options;
    return {
      version: 1,
      parts: left.map(({ part: { sha256 }, came }) => ({ sha256, from: came })),
      ticket:
        ticket === null || ticket === undefined
          ? null
          : {
              grant: Buffer.from(ticket.grant ?? '').toString('base64'),
              signature: Buffer.from(ticket.signature ?? '').toString('base64'),
              certificate: ticket.certificate ?? '',
            },
    };
  }

  /** @throws SwarmcutError: the other end's, or that it sends something else */
  #lengthOf(head: unknown, current: Incoming | undefined): number {
    const { node } = this.#options;
    const parsed = answerHeadSchema.safeParse(head);
    if (!parsed.success || current === undefined) throw broken(node, current?.part.sha256 ?? '', 'nonsense before it');
    if ('error' in parsed.data) {
      const { code, message, advice } = parsed.data.error;
      throw new SwarmcutError(code, message, { where: { node }, ...(advice === undefined ? {} : { advice }) });
    }
    const { sha256, sizeBytes } = current.part;
    if (parsed.data.sha256 !== sha256) throw broken(node, sha256, `part ${parsed.data.sha256} in its place`);
    const { length } = parsed.data;
    if (length !== sizeBytes - current.came)
      throw broken(node, sha256, `${current.came + length} bytes instead of ${sizeBytes}`);
    return length;
  }

  /** @param failed also called when it throws, since nobody waits for a write that is one of many */
  async #write(pieces: readonly Piece<Incoming>[], failed: (error: unknown) => void): Promise<void> {
    try {
      for (const { target, position, bytes } of pieces) await this.#writePiece(target, position, bytes);
    } catch (error) {
      failed(error);
      throw error;
    }
  }

  async #writePiece(incoming: Incoming, position: number, bytes: Uint8Array): Promise<void> {
    const { store, memory, progress } = this.#options;
    const { sizeBytes } = incoming.part;
    incoming.file ??= await store.temporaryFile({ memory });
    if (bytes.length > 0) await incoming.file.writeAt(bytes, position);
    incoming.written += bytes.length;
    if (sizeBytes <= SMALL_BYTES) (incoming.here ??= createHash('sha256')).update(bytes);
    else (incoming.there ??= new FollowingHash(incoming.file.path)).upTo(incoming.written);
    progress.add(bytes.length);
    if (incoming.written === sizeBytes) await this.#finish(incoming, incoming.file);
  }

  /** @throws SwarmcutError `damaged` when it is not what was asked for */
  async #finish(incoming: Incoming, file: TemporaryPart): Promise<void> {
    const { late, node, onPart } = this.#options;
    const { sha256, sizeBytes } = incoming.part;
    if (late !== undefined && incoming.there !== undefined) {
      late.add(incoming.part, file, incoming.there, node);
      incoming.done = true;
      onPart(incoming.part);
      return;
    }
    const actual = incoming.here?.digest('hex') ?? (await incoming.there?.digest(sizeBytes));
    incoming.there?.[Symbol.dispose]();
    if (actual !== sha256) throw broken(node, sha256, `another hash: ${actual ?? 'none'}`);
    await file.commit(sha256);
    incoming.done = true;
    onPart(incoming.part);
  }
}

const EMPTY = new Uint8Array(0);
