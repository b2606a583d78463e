import { SwarmcutError } from '../model/errors.ts';

/**
 * Headers of tar archives in the pax format, as GNU tar writes it (POSIX.1-2017, "pax Interchange Format"; GNU tar manual,
 * "Storing Sparse Files", PAX format 1.0). Only what one must know about an entry without extracting it.
 */
export interface TarHeader {
  readonly name: string;
  /** Of the data that follows, bytes. */
  readonly size: number;
  /** `0` file, `1` hard link, `2` symbolic link, `3` character device, `5` directory, `x` `g` pax records, `L` `K` GNU long name. */
  readonly type: string;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

export const TAR_BLOCK_BYTES = 512;

const latin1 = { decode: (bytes: Uint8Array): string => String.fromCharCode(...bytes) };

/** A character for each byte (Latin-1), whatever encoding they are in. Of any length: a call has no room for many arguments. */
function bytesAsText(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += CHUNK) text += latin1.decode(bytes.subarray(at, at + CHUNK));
  return text;
}
const CHUNK = 4096;

/**
 * @returns undefined for the zero block that ends an archive
 * @throws SwarmcutError `damaged`
 */
export function parseTarHeader(block: Uint8Array): TarHeader | undefined {
  if (block.length !== TAR_BLOCK_BYTES) throw damaged(`a header of ${block.length} bytes`);
  if (block.every((byte) => byte === 0)) return undefined;
  const expected = octal(block, 148, 8);
  let sum = 0;
  for (const [index, byte] of block.entries()) sum += index >= 148 && index < 156 ? 0x20 : byte;
  if (sum !== expected) throw damaged('a header with a wrong checksum');
  const name = text(block, 0, 100);
  const prefix = latin1.decode(block.subarray(257, 262)) === 'ustar' ? text(block, 345, 155) : '';
  const type = block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    size: octal(block, 124, 12),
    type,
    deviceMajor: type === '3' || type === '4' ? octal(block, 329, 8) : 0,
    deviceMinor: type === '3' || type === '4' ? octal(block, 337, 8) : 0,
  };
}

/** The records of a pax header: `<length> <key>=<value>\n`. Names of files and values of extended attributes may be any bytes: a character each. */
export function parsePaxRecords(data: Uint8Array): Map<string, string> {
  const records = new Map<string, string>();
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(0x20, at);
    if (space < 0) throw damaged('a pax record without a length');
    const length = Number(latin1.decode(data.subarray(at, space)));
    const end = at + length;
    if (!Number.isInteger(length) || end > data.length || end <= space + 1)
      throw damaged('a pax record of absurd length');
    const equals = data.indexOf(0x3d, space);
    if (equals < 0 || equals >= end) throw damaged('a pax record without a value');
    records.set(bytesAsText(data.subarray(space + 1, equals)), bytesAsText(data.subarray(equals + 1, end - 1)));
    at = end;
  }
  return records;
}

function text(block: Uint8Array, from: number, length: number): string {
  const field = block.subarray(from, from + length);
  const end = field.indexOf(0);
  return bytesAsText(end < 0 ? field : field.subarray(0, end));
}

/** Octal digits, or a big-endian number if the first bit is set (GNU's extension for large values). */
function octal(block: Uint8Array, from: number, length: number): number {
  const field = block.subarray(from, from + length);
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, first & 0x7f);
    if (!Number.isSafeInteger(value)) throw damaged('a number that is too large');
    return value;
  }
  const digits = latin1
    .decode(field)
    .replace(/[\0 ]+$/, '')
    .trim();
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw damaged('a number that is not octal');
  return parseInt(digits, 8);
}

function damaged(what: string): SwarmcutError {
  return new SwarmcutError('damaged', `not a tar archive: ${what}`);
}
