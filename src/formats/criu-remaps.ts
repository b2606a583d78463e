import { damagedImage, decodeImage } from './criu-image.ts';

/** A file that was open under a name that is gone, and that CRIU gave another name for the time of the dump. */
export interface LinkRemap {
  /** The name under which it was opened, relative to the container's root. */
  readonly name: string;
  /** CRIU's name of it, at which the restore wants to find it. */
  readonly link: string;
}

const FILES_IMAGE = 'files.img';
const REMAP_IMAGE = 'remap-fpath.img';
/** remap_file_path_entry (images/remap-file-path.proto). An absent type means a ghost file. */
const REMAP = { originalId: 1, remapId: 2, type: 3 };
const REMAP_LINKED = 0;
/** file_entry and reg_file_entry (images/fdinfo.proto, images/regfile.proto). */
const FILE = { id: 2, regular: 3 };
const REGULAR_NAME = 6;

/**
 * @param files the images by name: `files.img` and, if there is one, `remap-fpath.img`
 * @throws SwarmcutError `damaged`
 */
export function decodeLinkRemaps(files: ReadonlyMap<string, Uint8Array>): LinkRemap[] {
  const remapData = files.get(REMAP_IMAGE);
  if (remapData === undefined) return [];
  const remaps = decodeImage('remap-fpath', REMAP_IMAGE, remapData).filter(
    (remap) => remap.number(REMAP.type) === REMAP_LINKED,
  );
  if (remaps.length === 0) return [];
  const data = files.get(FILES_IMAGE);
  if (data === undefined) throw damagedImage(FILES_IMAGE, 'it is missing');
  const names = new Map<number, string>();
  for (const file of decodeImage('files', FILES_IMAGE, data)) {
    const name = file.message(FILE.regular)?.text(REGULAR_NAME);
    if (name !== undefined) names.set(file.required(FILE.id), name);
  }
  return remaps.map((remap) => {
    const name = names.get(remap.required(REMAP.originalId));
    const link = names.get(remap.required(REMAP.remapId));
    if (name === undefined || link === undefined) throw damagedImage(REMAP_IMAGE, 'it names a file that is not there');
    return { name: relative(name), link: relative(link) };
  });
}

/** CRIU writes some names with a leading slash, some without. */
function relative(name: string): string {
  return name.replace(/^\.?\/+/, '');
}
