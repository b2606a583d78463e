import { closeDescriptor, getUint32Option, SOL_SOCKET, tryOpenProcess, tryTakeDescriptor } from '../sys.ts';
import type { OpenFile } from '../process-tree.ts';

const SO_TYPE = 3;
const SO_PROTOCOL = 38;
const SO_DOMAIN = 39;

/** What a socket of another process is: the numbers of socket(2). */
export interface SocketKind {
  readonly file: OpenFile;
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
}

/** Sockets looked at without a pause: some 5 µs each. */
const AT_ONCE = 500;

/** The kinds of the sockets among these files. Processes and files that are gone meanwhile are passed over. */
export async function socketKinds(files: readonly OpenFile[]): Promise<SocketKind[]> {
  const found: SocketKind[] = [];
  const sockets = files.filter(({ target }) => target.startsWith('socket:'));
  for (let at = 0; at < sockets.length; at += AT_ONCE) {
    found.push(...kindsOf(sockets.slice(at, at + AT_ONCE)));
    if (at + AT_ONCE < sockets.length) await new Promise((resolve) => setImmediate(resolve));
  }
  return found;
}

function kindsOf(files: readonly OpenFile[]): SocketKind[] {
  const processes = new Map<number, number>();
  try {
    return files.flatMap((file) => {
      const process = processes.get(file.pid) ?? tryOpenProcess(file.pid);
      processes.set(file.pid, process);
      const socket = process < 0 ? -1 : tryTakeDescriptor(process, Number(file.fd));
      if (socket < 0) return [];
      try {
        const option = (name: number): number => getUint32Option(socket, SOL_SOCKET, name);
        return [{ file, family: option(SO_DOMAIN), type: option(SO_TYPE), protocol: option(SO_PROTOCOL) }];
      } catch {
        return [];
      } finally {
        closeDescriptor(socket);
      }
    });
  } finally {
    for (const process of processes.values()) if (process >= 0) closeDescriptor(process);
  }
}
