import protobuf from 'protobufjs/minimal.js';
import { SwarmcutError } from '../model/errors.ts';

/**
 * The frame of CRIU's image files (criu.org, "Images"; criu/include/magic.h and images/*.proto of CRIU 4.2): two magic numbers, then
 * entries of a 32-bit size and a protobuf message, all little-endian. Raw data may follow the last entry.
 */
export type ImageKind = 'files' | 'pstree' | 'core' | 'tcp-stream' | 'fdinfo' | 'remap-fpath' | 'stats';

const COMMON_MAGIC = 0x54564319;
const SERVICE_MAGIC = 0x55105940;
const KIND_MAGIC: Readonly<Record<ImageKind, number>> = {
  files: 0x56303138,
  pstree: 0x50273030,
  core: 0x55053847,
  'tcp-stream': 0x51465506,
  fdinfo: 0x56213732,
  'remap-fpath': 0x59133954,
  stats: 0x57093306,
};

/** Largest entry that is believed, bytes. Those decoded here have a few hundred. */
const MAX_ENTRY_BYTES = 16 * 1024 * 1024;

/** A protobuf message as it lies on the wire: by field number, in the order of appearance. */
export interface Message {
  /** As it was read. */
  readonly bytes: Uint8Array;
  /** Varint fields: 32-bit ones as they are, 64-bit ones exact up to 2^53. Packed and repeated alike. */
  numbers(field: number): readonly number[];
  /** The last value of a field, as protobuf wants it. */
  number(field: number): number | undefined;
  /** @throws SwarmcutError `damaged` if absent */
  required(field: number): number;
  text(field: number): string | undefined;
  message(field: number): Message | undefined;
}

/**
 * The entries of an image.
 * @param name of the file, for errors
 * @param limit how many entries are wanted; what follows is not looked at (tcp-stream images have the queues there)
 * @throws SwarmcutError `damaged`: wrong magic, truncated, absurd sizes, not protobuf
 */
export function decodeImage(kind: ImageKind, name: string, data: Uint8Array, limit = Infinity): Message[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 8) throw damagedImage(name, 'it is shorter than its head');
  const magic = kind === 'stats' ? SERVICE_MAGIC : COMMON_MAGIC;
  if (view.getUint32(0, true) !== magic) throw damagedImage(name, 'it does not begin like an image of CRIU');
  if (view.getUint32(4, true) !== KIND_MAGIC[kind]) throw damagedImage(name, `it is not an image of kind ${kind}`);
  const entries: Message[] = [];
  let at = 8;
  while (at < data.length && entries.length < limit) {
    if (at + 4 > data.length) throw damagedImage(name, 'it ends within the size of an entry');
    const size = view.getUint32(at, true);
    at += 4;
    if (size > MAX_ENTRY_BYTES) throw damagedImage(name, `an entry claims ${size} bytes`);
    if (at + size > data.length) throw damagedImage(name, `it ends within an entry of ${size} bytes`);
    entries.push(decodeMessage(name, data.subarray(at, at + size)));
    at += size;
  }
  return entries;
}

/** An image with these entries and nothing behind them. */
export function encodeImage(kind: ImageKind, entries: readonly Uint8Array[]): Uint8Array {
  const data = new Uint8Array(entries.reduce((sum, entry) => sum + 4 + entry.length, 8));
  const view = new DataView(data.buffer);
  view.setUint32(0, kind === 'stats' ? SERVICE_MAGIC : COMMON_MAGIC, true);
  view.setUint32(4, KIND_MAGIC[kind], true);
  let at = 8;
  for (const entry of entries) {
    view.setUint32(at, entry.length, true);
    data.set(entry, at + 4);
    at += 4 + entry.length;
  }
  return data;
}

type FieldValue = number | Uint8Array;

function decodeMessage(name: string, data: Uint8Array): Message {
  const fields = new Map<number, FieldValue[]>();
  try {
    const reader = protobuf.Reader.create(data);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      const field = tag >>> 3;
      const wireType = tag & 7;
      if (field === 0) throw new Error('field number 0');
      const value = wireType === 0 ? varint(reader) : wireType === 2 ? reader.bytes() : undefined;
      if (value === undefined) {
        reader.skipType(wireType);
        continue;
      }
      const values = fields.get(field);
      if (values === undefined) fields.set(field, [value]);
      else values.push(value);
    }
  } catch (error) {
    throw damagedImage(name, 'an entry is not a protobuf message', error);
  }
  return new DecodedMessage(name, data, fields);
}

class DecodedMessage implements Message {
  readonly bytes: Uint8Array;
  readonly #name: string;
  readonly #fields: ReadonlyMap<number, readonly FieldValue[]>;

  constructor(name: string, bytes: Uint8Array, fields: ReadonlyMap<number, readonly FieldValue[]>) {
    this.bytes = bytes;
    this.#name = name;
    this.#fields = fields;
  }

  numbers(field: number): readonly number[] {
    return (this.#fields.get(field) ?? []).flatMap((value) => {
      if (typeof value === 'number') return [value];
      const packed: number[] = [];
      try {
        const reader = protobuf.Reader.create(value);
        while (reader.pos < reader.len) packed.push(varint(reader));
      } catch (error) {
        throw damagedImage(this.#name, `field ${field} is not a list of numbers`, error);
      }
      return packed;
    });
  }

  number(field: number): number | undefined {
    const value = this.#fields.get(field)?.at(-1);
    if (typeof value === 'object') throw damagedImage(this.#name, `field ${field} is not a number`);
    return value;
  }

  required(field: number): number {
    const value = this.number(field);
    if (value === undefined) throw damagedImage(this.#name, `field ${field} is missing`);
    return value;
  }

  text(field: number): string | undefined {
    const bytes = this.#bytes(field);
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  message(field: number): Message | undefined {
    const bytes = this.#bytes(field);
    return bytes === undefined ? undefined : decodeMessage(this.#name, bytes);
  }

  #bytes(field: number): Uint8Array | undefined {
    const value = this.#fields.get(field)?.at(-1);
    if (typeof value === 'number') throw damagedImage(this.#name, `field ${field} is a number`);
    return value;
  }
}

function varint(reader: protobuf.Reader): number {
  // A Long if the package `long` is there, else a number.
  const value: unknown = reader.uint64();
  return Number(String(value));
}

/** The error for an image that cannot be what CRIU wrote. */
export function damagedImage(name: string, why: string, cause?: unknown): SwarmcutError {
  return new SwarmcutError('damaged', `CRIU image ${name}: ${why}`, {
    where: { file: name },
    advice: 'the snapshot cannot be used; `coordinator verify` tells whether its parts are whole',
    ...(cause === undefined ? {} : { cause }),
  });
}
