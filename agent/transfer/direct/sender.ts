import type { FileHandle } from 'node:fs/promises';
import type { TLSSocket } from 'node:tls';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import { failPoint } from '../../../src/platform/fail-points.ts';
import { FrameReader, encodeHead } from '../../../src/formats/part-frames.ts';
import type { ReceivedOf } from '../../../src/rpc/index.ts';
import type { PartStore } from '../../checkpoints/store/index.ts';
import { openPart } from '../open-part.ts';
import { promptCollection } from '../prompt-collection.ts';
import { requestHeadSchema } from './protocol.ts';
import type { AnswerHead, RequestHead } from './protocol.ts';

/** Read and encrypted in one go. Bytes. */
const CHUNK_BYTES = 512 * 1024;

type Buffers = readonly [Buffer, Buffer];

type Asked = Pick<ReceivedOf<'fetch'>, 'sha256' | 'ticket'>;

export interface SenderOptions {
  readonly store: PartStore;
  /** @returns to be called before each piece: throws once the peer may have no more @throws SwarmcutError saying why the peer may not have these */
  readonly admit: (asked: Asked) => () => void;
  readonly onInternalError: (error: unknown) => void;
}

/** Answers the requests of one connection, one after another. */
export class PartsSender {
  readonly #socket: TLSSocket;
  readonly #options: SenderOptions;
  #busy = false;

  constructor(socket: TLSSocket, options: SenderOptions) {
    this.#socket = socket;
    this.#options = options;
    const reader = new FrameReader({
      head: (head) => {
        this.#begin(head);
        return 0;
      },
      bytes: () => undefined,
    });
    socket.on('data', (bytes: Buffer) => {
      try {
        reader.push(bytes);
      } catch {
        // Nobody of ours speaks like that.
        socket.destroy();
      }
    });
    socket.once('end', () => socket.end());
  }

  #begin(head: unknown): void {
    const parsed = requestHeadSchema.safeParse(head);
    if (this.#busy || !parsed.success) {
      this.#socket.destroy();
      return;
    }
    this.#busy = true;
    this.#answer(parsed.data)
      .catch((error: unknown) => this.#refuse(error))
      .finally(() => (this.#busy = false));
  }

  async #answer({ parts, ticket }: RequestHead): Promise<void> {
    const sha256 = parts.map((part) => part.sha256);
    const stillGood = this.#options.admit({ sha256, ticket: ticket === null ? null : ticketOf(ticket) });
    using _collection = promptCollection();
    // One is read into while the other is sent.
    const buffers: Buffers = [Buffer.allocUnsafeSlow(CHUNK_BYTES), Buffer.allocUnsafeSlow(CHUNK_BYTES)];
    for (const part of parts) {
      stillGood();
      await failPoint('agent.send');
      await this.#send(part, buffers, stillGood);
    }
  }

  async #send({ sha256, from }: RequestHead['parts'][number], buffers: Buffers, stillGood: () => void): Promise<void> {
    const { file, sizeBytes } = await openPart(this.#options.store, sha256);
    try {
      if (from > sizeBytes) throw new SwarmcutError('damaged', `part ${sha256} has only ${sizeBytes} bytes here`);
      await this.#write(encodeHead({ sha256, length: sizeBytes - from } satisfies AnswerHead));
      await this.#sendBytes(file, from, sizeBytes, buffers, stillGood);
    } finally {
      await file.close();
    }
  }

  /** The head is out: there is no way any more to say that something is wrong but to hang up. */
  async #sendBytes(
    file: FileHandle,
    from: number,
    end: number,
    buffers: Buffers,
    stillGood: () => void,
  ): Promise<void> {
    let sending: Promise<void> = Promise.resolve();
    try {
      for (let at = from, turn: 0 | 1 = 0; at < end; turn = turn === 0 ? 1 : 0) {
        const chunk = await readChunk(file, buffers[turn], at, end);
        await sending;
        stillGood();
        sending = this.#write(chunk);
        sending.catch(() => undefined);
        at += chunk.length;
      }
      await sending;
    } catch (error) {
      this.#socket.destroy();
      if (!(error instanceof SwarmcutError || error instanceof HungUp)) this.#options.onInternalError(error);
      throw new HungUp();
    }
  }

  /** @throws when the connection is gone */
  #write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new HungUp());
      const gone = (): void => reject(new HungUp());
      this.#socket.once('close', gone);
      this.#socket.write(bytes, (error) => {
        this.#socket.removeListener('close', gone);
        if (error === null || error === undefined) resolve();
        else reject(new HungUp());
      });
    });
  }

  #refuse(error: unknown): void {
    if (error instanceof HungUp || this.#socket.destroyed) return;
    if (!(error instanceof SwarmcutError)) this.#options.onInternalError(error);
    const { code, message, advice } =
      error instanceof SwarmcutError ? error : new SwarmcutError('internal', messageOf(error));
    const head: AnswerHead = { error: { code, message, ...(advice === undefined ? {} : { advice }) } };
    this.#socket.write(encodeHead(head));
  }
}

/** The peer has gone, or must not have more. */
class HungUp extends Error {}

/** @throws SwarmcutError `damaged` when the file has become shorter */
async function readChunk(file: FileHandle, buffer: Buffer, at: number, end: number): Promise<Buffer> {
  const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
  if (bytesRead === 0) throw new SwarmcutError('damaged', 'a part has become shorter while it was sent');
  return buffer.subarray(0, bytesRead);
}

function ticketOf({ grant, signature, certificate }: NonNullable<RequestHead['ticket']>): NonNullable<Asked['ticket']> {
  return { grant: Buffer.from(grant, 'base64'), signature: Buffer.from(signature, 'base64'), certificate };
}
