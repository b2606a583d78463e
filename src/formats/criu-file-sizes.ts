import protobuf from 'protobufjs/minimal.js';
import { decodeImage, encodeImage } from './criu-image.ts';

const FILES_IMAGE = 'files.img';
/** file_entry (images/fdinfo.proto): type, id, and the regular file if it is one. */
const FILE_TYPE = 1;
const FILE_ID = 2;
const FILE_REGULAR = 3;
const TYPE_REGULAR = 1;
/** reg_file_entry (images/regfile.proto). */
const REGULAR = { name: 6, size: 8 };

/**
 * CRIU restores an open file only if it has the size that it had ("File … has bad size"). For files that are meant to differ.
 * @param data of files.img
 * @param sizes what they have, by path in the container, bytes
 * @returns the image with these sizes; undefined if no such file was open, or none with another size
 * @throws SwarmcutError `damaged`
 */
export function patchFileSizes(data: Uint8Array, sizes: ReadonlyMap<string, number>): Uint8Array | undefined {
  const files = decodeImage('files', FILES_IMAGE, data);
  const entries = files.map((file) => {
    const regular = file.message(FILE_REGULAR);
    const size = sizes.get(absolute(regular?.text(REGULAR.name) ?? ''));
    const recorded = regular?.number(REGULAR.size);
    if (regular === undefined || size === undefined || recorded === undefined || recorded === size) return file.bytes;
    // Of a number that is there twice, the last one counts.
    const present = protobuf.Writer.create()
      .uint32(REGULAR.size << 3)
      .uint64(size)
      .finish();
    return protobuf.Writer.create()
      .uint32(FILE_TYPE << 3)
      .uint32(TYPE_REGULAR)
      .uint32(FILE_ID << 3)
      .uint32(file.required(FILE_ID))
      .uint32((FILE_REGULAR << 3) | 2)
      .bytes(Uint8Array.of(...regular.bytes, ...present))
      .finish();
  });
  const patched = entries.some((entry, index) => entry !== files[index]?.bytes);
  return patched ? encodeImage('files', entries) : undefined;
}

/** CRIU writes names with a leading slash, with `./`, or with neither. */
function absolute(name: string): string {
  return `/${name.replace(/^\.?\/+/, '')}`;
}
