import { open, type FileHandle } from 'node:fs/promises';
import { parsePaxRecords, parseTarHeader, TAR_BLOCK_BYTES } from '../../src/formats/tar.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { run } from '../../src/platform/processes.ts';

/** Longest pax header that is read into memory, bytes. Extended attributes are limited to 64 KiB each by the kernel. */
const MAX_PAX_BYTES = 4 * 1024 * 1024;

/** One entry of an archive. Its data is not read. */
export interface TarEntry {
  /** Relative, without a leading `./` or a trailing `/`; empty for the root. For people: see {@link TarEntry.name}. */
  readonly path: string;
  /** The same as bytes, in no particular encoding: what the file is called. */
  readonly name: Buffer;
  readonly kind: 'directory' | 'whiteout' | 'other';
  /** Names of its extended attributes. */
  readonly xattrs: readonly string[];
}

/** Metadata that a tar of ours keeps. */
const KEEP = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner', '--sparse'];

/** The entries of an archive in order. Memory is bounded: data is skipped, not read. */
export async function* tarEntries(file: string): AsyncGenerator<TarEntry> {
  const handle = await open(file);
  try {
    const { size: fileSize } = await handle.stat();
    let at = 0;
    let pax = new Map<string, string>();
    let longName: string | undefined;
    while (at < fileSize) {
      const header = parseTarHeader(await read(handle, at, TAR_BLOCK_BYTES, file));
      if (header === undefined) return;
      at += TAR_BLOCK_BYTES;
      if (header.type === 'x' || header.type === 'L') {
        if (header.size > MAX_PAX_BYTES)
          throw new SwarmcutError('damaged', `${file}: a header of ${header.size} bytes`);
        const data = await read(handle, at, header.size, file);
        if (header.type === 'x') pax = parsePaxRecords(data);
        else longName = data.toString('latin1').replace(/\0.*$/s, '');
      } else if (header.type !== 'g' && header.type !== 'K') {
        const called = pax.get('GNU.sparse.name') ?? pax.get('path') ?? longName ?? header.name;
        const name = Buffer.from(called.replace(/^(\.\/)+|^\.$/, '').replace(/\/+$/, ''), 'latin1');
        yield {
          path: name.toString('utf8'),
          name,
          kind:
            header.type === '5'
              ? 'directory'
              : header.type === '3' && header.deviceMajor === 0 && header.deviceMinor === 0
                ? 'whiteout'
                : 'other',
          xattrs: [...pax.keys()].filter((key) => key.startsWith(XATTR)).map((key) => key.slice(XATTR.length)),
        };
        at += roundUp(Number(pax.get('size') ?? header.size));
        pax = new Map();
        longName = undefined;
        continue;
      }
      at += roundUp(header.size);
    }
  } finally {
    await handle.close();
  }
}

const XATTR = 'SCHILY.xattr.';

/**
 * Archives a directory with owners, modes, times, extended attributes, hard links and holes. Other file systems mounted below it are
 * left out.
 * @returns what could not be read as it was, in words: files that changed meanwhile
 */
export async function createTar(
  directory: string,
  file: string,
  options: { readonly excludes?: readonly string[]; readonly signal?: AbortSignal | undefined } = {},
): Promise<string[]> {
  const excludes = (options.excludes ?? []).map((pattern) => `--exclude=${pattern}`);
  const stderr = await tar(
    ['--create', '--format=posix', '--one-file-system', ...KEEP, '--anchored', ...excludes],
    file,
    directory,
    ['.'],
    options.signal,
  );
  return stderr.filter((line) => /changed as we read it|removed before we read it/.test(line));
}

/**
 * Extracts an archive over what is in the directory; entries in it are replaced.
 * @param excludeFile a file with the names, one per line, as they are in the archive, of entries to leave out; tar ignores blanks at their ends
 * @param excludePatterns a file as that, with patterns: each costs time for each entry
 */
export async function extractTar(
  file: string,
  directory: string,
  options: {
    readonly excludeFile?: string;
    readonly excludePatterns?: string;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<void> {
  const { excludeFile, excludePatterns } = options;
  const exclude = [
    ...(excludeFile === undefined
      ? []
      : ['--anchored', '--no-recursion', '--no-wildcards', `--exclude-from=${excludeFile}`]),
    ...(excludePatterns === undefined
      ? []
      : ['--anchored', '--no-recursion', '--wildcards', `--exclude-from=${excludePatterns}`]),
  ];
  await tar(
    [
      '--extract',
      ...KEEP,
      // These belong to the layer they were made in; overlayfs makes its own.
      '--xattrs-exclude=trusted.overlay.*',
      '--same-owner',
      '--preserve-permissions',
      '--delay-directory-restore',
      ...exclude,
    ],
    file,
    directory,
    [],
    options.signal,
  );
}

/** @returns the lines that tar wrote to stderr */
async function tar(
  flags: readonly string[],
  file: string,
  directory: string,
  operands: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string[]> {
  // Its messages are looked at.
  const env = { LC_ALL: 'C' };
  const result = await run(['tar', ...flags, '--file', file, '--directory', directory, ...operands], { env, signal });
  if (signal?.aborted === true) throw new SwarmcutError('interrupted', `tar of ${directory} was given up`);
  const lines = result.stderr.split('\n').filter((line) => line !== '');
  // 1 means "some files differ": they changed while they were read.
  if (result.exitCode !== 0 && result.exitCode !== 1) {
    const reasons = lines.filter((line) => !/Exiting with failure status|socket ignored/.test(line));
    throw new SwarmcutError(
      'failed',
      `tar of ${directory}: ${reasons.slice(0, 3).join('; ') || (result.problem ?? `exit code ${result.exitCode ?? 'none'}`)}`,
      {
        where: { file },
      },
    );
  }
  return lines;
}

async function read(handle: FileHandle, at: number, length: number, file: string): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, at);
  if (bytesRead !== length) throw new SwarmcutError('damaged', `${file} ends in the middle of an entry`);
  return buffer;
}

function roundUp(size: number): number {
  return Math.ceil(size / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
}
