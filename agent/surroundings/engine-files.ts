import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

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
 * The engine's files of a restored container as they were at the cut: the program keeps its host name, and may have them open, of the size that they had.
 * @param saved as {@link readEngineFiles} had them
 * @param mounts of the new container's bundle
 */
export function restoredEngineFiles(saved: Readonly<Record<string, string>>, mounts: readonly Mount[]): RestoredFile[] {
  return ENGINE_FILES.flatMap((path) => {
    const file = mounts.findLast((mount) => mount.destination === path)?.source;
    const text = saved[path];
    return file === undefined || text === undefined ? [] : [{ path, file, contents: Buffer.from(text, 'base64') }];
  });
}

/**
 * `put FROM TO`: the program runs by now, and the file must never be empty for it, not even for a moment. (A lookup that finds no name server in
 * `/etc/resolv.conf` goes to 127.0.0.1, where there is none, and fails.) Nor may the file be replaced by another: it is mounted.
 */
const PUT = `put() {
  if cmp -s "$1" "$2"; then return; fi
  cat "$1" 1<>"$2" || return
  dd if=/dev/null of="$2" bs=1 seek="$(wc -c <"$1")" 2>/dev/null
}`;

/**
 * When `runc create` has returned, the engine writes `/etc/hosts` anew (libnetwork, `Sandbox.FinishConfig`), with the new container's name alone. A
 * `sh` script for the moment after that, when it calls `runc start`: the files are those of the cut again, but the program's own addresses in
 * `/etc/hosts` are those with which the engine names the new container.
 * @param dir with the files under their last names; gone afterwards
 * @param freshName host name of the new container, as the engine has it
 */
export function startScript(files: readonly RestoredFile[], dir: string, freshName: string): string {
  const name =
    files
      .find(({ path }) => path === HOSTNAME)
      ?.contents.toString('utf8')
      .trim() ?? '';
  const others = files.filter(({ path }) => path !== HOSTS);
  const hosts = files.find(({ path }) => path === HOSTS);
  return [
    `cd ${quoted(dir)} || exit 0`,
    'set -f',
    PUT,
    ...others.map(({ path, file }) => `put ${basename(path)} ${quoted(file)}`),
    ...(hosts === undefined || name === '' ? [] : [hostsScript(hosts.file, name, freshName)]),
    `rm -rf ${quoted(dir)}`,
    '',
  ].join('\n');
}

/** Lines that name the saved host get the addresses of those that name the new one, in their order and of their family. */
function hostsScript(file: string, name: string, freshName: string): string {
  return `# names NAME ADDRESS NAME...: whether a line gives NAME an address of its own.
names() {
  case \${2:-#} in 127.* | ::1 | '#'*) return 1 ;; esac
  wanted=$1
  shift 2
  for one; do case $one in "$wanted" | "$wanted".*) return 0 ;; esac; done
  return 1
}
v4='' v6=''
while read -r line; do
  names ${quoted(freshName)} $line || continue
  case \${line%%[[:space:]]*} in *:*) v6="$v6 \${line%%[[:space:]]*}" ;; *) v4="$v4 \${line%%[[:space:]]*}" ;; esac
done <${quoted(file)}
# next FAMILY: takes the first address of a family.
next() {
  eval "set -- $1 \\$$1"
  family=$1 address=\${2:-}
  [ $# -lt 2 ] || shift
  shift
  eval "$family=\\$*"
}
if [ -n "$v4$v6" ]; then
  {
    while IFS= read -r line || [ -n "$line" ]; do
      if names ${quoted(name)} $line; then
        case \${line%%[[:space:]]*} in *:*) next v6 ;; *) next v4 ;; esac
        [ -z "$address" ] || printf '%s%s\\n' "$address" "\${line#"\${line%%[[:space:]]*}"}"
      else
        printf '%s\\n' "$line"
      fi
    done <hosts
    # It may be in more networks than it was.
    for address in $v4 $v6; do printf '%s\\t%s\\n' "$address" ${quoted(name)}; done
  } >merged && put merged ${quoted(file)}
fi`;
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
