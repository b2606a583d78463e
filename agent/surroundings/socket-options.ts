import { z } from 'zod';
import { innerPids, openFiles, processTree, type OpenFile } from '../linux/process-tree.ts';
import { closeDescriptor, getOption, setOption, tryOpenProcess, tryTakeDescriptor } from '../linux/sys.ts';

export const socketSchema = z.object({
  /** In the container's pid namespace. */
  pid: z.number().int(),
  fd: z.string(),
  /** By {@link OPTIONS}' names: the bytes, hex. */
  options: z.record(z.string(), z.string()),
});
/** Options of a socket that CRIU does not save, as one process has it under one descriptor. */
export type SocketOptions = z.infer<typeof socketSchema>;

const TCP = 6;
const IP = 0;
const IPV6 = 41;

/**
 * Level and number of socket options that CRIU 4.2 does not restore, and that connections inherit which a restored listener accepts (tcp(7), ip(7),
 * ipv6(7)). Of the length that the kernel answers with.
 */
const OPTIONS: Readonly<Record<string, readonly [level: number, option: number]>> = {
  TCP_SYNCNT: [TCP, 7],
  TCP_LINGER2: [TCP, 8],
  TCP_DEFER_ACCEPT: [TCP, 9],
  TCP_CONGESTION: [TCP, 13],
  TCP_USER_TIMEOUT: [TCP, 18],
  TCP_FASTOPEN: [TCP, 23],
  TCP_NOTSENT_LOWAT: [TCP, 25],
  IP_MINTTL: [IP, 21],
  IP_TRANSPARENT: [IP, 19],
  IPV6_UNICAST_HOPS: [IPV6, 16],
  IPV6_TCLASS: [IPV6, 67],
};
const MAX_BYTES = 16;

/** Sockets looked at without a pause: some 20 µs each. */
const AT_ONCE = 100;

/** Values that a new socket has, too: none, and no limit. */
const UNSET = /^(0*|f*)$/;

/** Of the TCP sockets of a task, which may be frozen. @param pid of the container's first process */
export async function socketOptions(pid: number): Promise<SocketOptions[]> {
  const found: SocketOptions[] = [];
  const pids = await processTree(pid);
  const innerIds = await innerPids(pids);
  await eachSocket(await openFiles(pids), (socket, file) => {
    const all = Object.entries(readOptions(socket) ?? {});
    const options = Object.fromEntries(all.filter(([, value]) => !UNSET.test(value)));
    if (Object.keys(options).length === 0) return;
    found.push({ pid: innerIds.get(file.pid) ?? 0, fd: file.fd, options });
  });
  return found;
}

/** Gives the sockets of a restored task the options that they had. */
export async function applySocketOptions(pid: number, saved: readonly SocketOptions[]): Promise<void> {
  if (saved.length === 0) return;
  const pids = await processTree(pid);
  const innerIds = await innerPids(pids);
  const byName = new Map(saved.map((one) => [`${one.pid} ${one.fd}`, one.options]));
  await eachSocket(await openFiles(pids), (socket, file) => {
    const wanted = byName.get(`${innerIds.get(file.pid) ?? 0} ${file.fd}`);
    const present = wanted === undefined ? undefined : readOptions(socket);
    if (wanted === undefined || present === undefined) return;
    for (const [name, value] of Object.entries(wanted)) {
      const [level, option] = OPTIONS[name] ?? [];
      if (level === undefined || option === undefined || present[name] === value) continue;
      try {
        setOption(socket, level, option, Buffer.from(value, 'hex'));
      } catch {
        // A state in which it cannot be set, or a kernel without that congestion control: it stays as it is.
      }
    }
  });
}

async function eachSocket(files: readonly OpenFile[], act: (socket: number, file: OpenFile) => void): Promise<void> {
  const processes = new Map<number, number>();
  try {
    for (const [index, file] of files.filter(({ target }) => target.startsWith('socket:')).entries()) {
      if (index % AT_ONCE === AT_ONCE - 1) await new Promise((resolve) => setImmediate(resolve));
      const process = processes.get(file.pid) ?? tryOpenProcess(file.pid);
      processes.set(file.pid, process);
      const socket = process < 0 ? -1 : tryTakeDescriptor(process, Number(file.fd));
      if (socket < 0) continue;
      try {
        act(socket, file);
      } finally {
        closeDescriptor(socket);
      }
    }
  } finally {
    for (const process of processes.values()) if (process >= 0) closeDescriptor(process);
  }
}

/** Undefined for what is no TCP socket. */
function readOptions(socket: number): Record<string, string> | undefined {
  const found: Record<string, string> = {};
  for (const [name, [level, option]] of Object.entries(OPTIONS)) {
    try {
      found[name] = getOption(socket, level, option, MAX_BYTES).toString('hex');
    } catch {
      if (level === TCP) return undefined;
      // Those of the other family.
    }
  }
  return found;
}
