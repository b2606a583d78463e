import { readFile } from 'node:fs/promises';

/** The files that the engine writes for each container and mounts into it. Paths in the container. */
export const ENGINE_FILES = ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf'] as const;
const [HOSTS, HOSTNAME] = ENGINE_FILES;

/** Of all of them a few lines; more than this is not carried. */
const MAX_BYTES = 256 * 1024;

/** What {@link restoredEngineFiles} needs to know of a mount. */
interface Mount {
  readonly destination: string;
  readonly source?: string;
}

/** Contents of those that there are, in Base64. @param pid of the container's first process */
export async function readEngineFiles(pid: number): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const path of ENGINE_FILES) {
    const contents = await readFile(`/proc/${pid}/root${path}`).catch(() => undefined);
    if (contents !== undefined && contents.length <= MAX_BYTES) found[path] = contents.toString('base64');
  }
  return found;
}

/** A file of the engine's, and what it is to contain. */
export interface RestoredFile {
  /** In the container. */
  readonly path: string;
  /** On this node. */
  readonly file: string;
  readonly contents: Buffer;
}

/**
 * What these files are to contain in a restored container: what the program knows, since it keeps its host name and may have them open. Only its
 * own addresses in `/etc/hosts` are those of the new container.
 * @param saved as {@link readEngineFiles} had them
 * @param mounts of the new container's bundle
 * @param freshName its host name, as the engine has it
 */
export async function restoredEngineFiles(
  saved: Readonly<Record<string, string>>,
  mounts: readonly Mount[],
  freshName: string,
): Promise<RestoredFile[]> {
  const contentsOf = (path: string): Buffer | undefined => {
    const text = saved[path];
    return text === undefined ? undefined : Buffer.from(text, 'base64');
  };
  const savedName = contentsOf(HOSTNAME)?.toString('utf8').trim() ?? '';
  const files: RestoredFile[] = [];
  for (const path of ENGINE_FILES) {
    const file = mounts.findLast((mount) => mount.destination === path)?.source;
    const contents = contentsOf(path);
    if (file === undefined || contents === undefined) continue;
    const fresh = path === HOSTS ? await readFile(file, 'utf8').catch(() => '') : '';
    const merged =
      path === HOSTS ? Buffer.from(mergeHosts(contents.toString('utf8'), savedName, fresh, freshName)) : contents;
    files.push({ path, file, contents: merged });
  }
  return files;
}

/**
 * A saved `/etc/hosts` with the addresses that the container has now: in the lines that name the saved host, the addresses with which the new
 * file names the new one, in their order. Without any, the saved file as it was.
 */
export function mergeHosts(saved: string, savedName: string, fresh: string, freshName: string): string {
  const now = fresh.split('\n').filter((line) => isOwn(line, freshName));
  if (now.length === 0 || savedName === '') return saved;
  const byFamily = (family: boolean): string[] =>
    now.map(addressOf).filter((address) => address.includes(':') === family);
  const left = { v4: byFamily(false), v6: byFamily(true) };
  const lines = saved.split('\n').flatMap((line) => {
    if (!isOwn(line, savedName)) return [line];
    const address = (addressOf(line).includes(':') ? left.v6 : left.v4).shift();
    return address === undefined ? [] : [line.replace(addressOf(line), address)];
  });
  // It may be in more networks than it was.
  const more = [...left.v4, ...left.v6].map((address) => `${address}\t${savedName}`);
  const end = lines.at(-1) === '' ? lines.length - 1 : lines.length;
  return lines.toSpliced(end, 0, ...more).join('\n');
}

/** A line with which the engine gives a container's own name an address. Loopback is everybody's. */
function isOwn(line: string, name: string): boolean {
  const [address = '', ...names] = line.trim().split(/\s+/);
  if (address.startsWith('#') || address.startsWith('127.') || address === '::1' || name === '') return false;
  return names.some((one) => one === name || one.startsWith(`${name}.`));
}

function addressOf(line: string): string {
  return line.trim().split(/\s+/)[0] ?? '';
}
