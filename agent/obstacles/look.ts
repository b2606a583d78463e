import { readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SwarmcutError } from '../../src/model/errors.ts';
import { kindOf, obstacleText, type Obstacle, type ObstacleName } from '../../src/model/obstacles.ts';
import { openFiles, processTree, type OpenFile } from '../linux/process-tree.ts';
import { socketKinds } from '../linux/sockets/kinds.ts';
import { unixPeers } from '../linux/sockets/unix-peers.ts';
import { fileObstacle, socketObstacle } from './kinds.ts';
import { readProcess, type LookedAt } from './processes.ts';

/** What is looked at. `ContainerFacts` is one. */
export interface ObservedTask {
  /** Of its first process. */
  readonly pid: number;
  readonly binds: readonly { readonly source: string; readonly destination: string }[];
}

/**
 * Looks at a running task for what CRIU does not carry. Changes nothing, stops nothing; what comes and goes meanwhile is missed.
 * @param dumpsOtherUsers whether CRIU can dump processes of other users than root here; only asked where there is one
 * @returns each process and kind once
 */
export async function findObstacles(task: ObservedTask, dumpsOtherUsers: () => Promise<boolean>): Promise<Obstacle[]> {
  const pids = await processTree(task.pid);
  const processes = (await Promise.all(pids.map((pid) => readProcess(pid)))).filter((one) => one !== undefined);
  const files = await openFiles(pids);
  const [first] = processes;
  const found = [
    ...(await ofNetwork(task.pid)),
    ...processes.flatMap((one) => ofProcess(one, first)),
    ...(await ofFiles(files)),
    ...(await ofSockets(files)),
    ...ofStreams(task.pid, files),
    ...(await ofUsers(processes, dumpsOtherUsers)),
  ];
  const named = found.map(({ pid, ...rest }): Obstacle => {
    const process = processes.find((one) => one.pid === pid);
    return { ...rest, pid: process?.innerPid ?? 0, command: process?.command ?? '' };
  });
  const all = [...named, ...(await ofBinds(task))];
  return [...new Map(all.map((one) => [`${one.pid} ${one.kind}`, one])).values()];
}

/**
 * @throws SwarmcutError `precondition`, naming what keeps a snapshot of this task from being taken, or from ever being restored. What passes by itself
 *   is no reason: it may have passed when the task is frozen
 */
export function refuseObstacles(obstacles: readonly Obstacle[]): void {
  const reasons = obstacles.filter((one) => kindOf(one).effect !== 'lost' && kindOf(one).passes !== true);
  const [first] = reasons;
  if (first === undefined) return;
  const shown = reasons.slice(0, 3).map(obstacleText).join('; ');
  const more = reasons.length > 3 ? ` and ${reasons.length - 3} more` : '';
  throw new SwarmcutError('precondition', `${shown}${more}`, {
    advice: `${[...new Set(reasons.map((one) => kindOf(one).advice))].join('; ')}; nothing was done`,
  });
}

/** What a snapshot is taken without, in words for the user. */
export function lossNotes(obstacles: readonly Obstacle[]): string[] {
  return obstacles
    .filter((one) => kindOf(one).effect === 'lost')
    .map((one) => `${obstacleText(one)}: ${kindOf(one).advice}`);
}

/** Of a process as this node numbers it; 0 for the task. */
interface Found {
  readonly kind: ObstacleName;
  readonly pid: number;
  readonly object: string;
}

async function ofNetwork(pid: number): Promise<Found[]> {
  const [own, its] = await Promise.all(['self', pid].map((one) => readlink(`/proc/${one}/ns/net`).catch(() => '')));
  return own === its && own !== '' ? [{ kind: 'host-network', pid: 0, object: '' }] : [];
}

function ofProcess(one: LookedAt, first: LookedAt | undefined): Found[] {
  const found = (kind: ObstacleName, object = ''): Found => ({ kind, pid: one.pid, object });
  return [
    ...(one.state === 'T' ? [found('stopped')] : []),
    ...(one.tracer !== 0 ? [found('traced')] : []),
    ...(one.state === 'Z' && one.threads > 1 ? [found('main-thread-ended')] : []),
    ...(one.program.startsWith('/memfd:') ? [found('memfd-program', one.program)] : []),
    ...(isBusyboxSleep(one) ? [found('sleeping')] : []),
    ...one.namespaces.flatMap((namespace, index) =>
      first === undefined || namespace === '' || namespace === first.namespaces[index]
        ? []
        : [found('namespace', namespace.replace(/:.*/, ''))],
    ),
  ];
}

/** One of them tells enough. */
async function ofUsers(processes: readonly LookedAt[], dumpsOtherUsers: () => Promise<boolean>): Promise<Found[]> {
  const first = processes.find(({ otherUser }) => otherUser);
  if (first === undefined || (await dumpsOtherUsers())) return [];
  return [{ kind: 'other-user', pid: first.pid, object: '' }];
}

/** By its own name, as Alpine has it, or as an argument. */
function isBusyboxSleep({ program, arguments: words }: LookedAt): boolean {
  const [name = '', applet] = words;
  return (
    program.endsWith('/busybox') && (/(^|\/)sleep$/.test(name) || (name.endsWith('busybox') && applet === 'sleep'))
  );
}

async function ofFiles(files: readonly OpenFile[]): Promise<Found[]> {
  const found = await Promise.all(
    files.map(async ({ pid, fd, target }): Promise<Found[]> => {
      const kind = fileObstacle(target) ?? (await otherFile(pid, fd, target));
      return kind === undefined ? [] : [{ kind, pid, object: `descriptor ${fd}, ${target}` }];
    }),
  );
  return found.flat();
}

/** What a name alone does not tell. */
async function otherFile(pid: number, fd: string, target: string): Promise<ObstacleName | undefined> {
  const link = `/proc/${pid}/fd/${fd}`;
  if (target.startsWith('/dev/')) {
    const file = await stat(link).catch(() => undefined);
    if (file === undefined || (!file.isCharacterDevice() && !file.isBlockDevice())) return undefined;
    return file.isCharacterDevice() && isOrdinaryDevice(file.rdev) ? undefined : 'device';
  }
  if (target.endsWith(' (deleted)')) {
    const file = await stat(link).catch(() => undefined);
    if (file?.isDirectory() !== true) return undefined;
    const anew = await stat(join(`/proc/${pid}/root`, target.slice(0, -' (deleted)'.length))).catch(() => undefined);
    return anew?.isDirectory() === true ? 'remade-directory' : undefined;
  }
  // A message queue has a name of one word, and no mount that the task sees (mq_overview(7)).
  return /^\/[^/]+$/.test(target) && (await isOnQueues(pid, link)) ? 'message-queue' : undefined;
}

async function isOnQueues(pid: number, link: string): Promise<boolean> {
  const [file, queues] = await Promise.all(
    [link, `/proc/${pid}/root/dev/mqueue`].map((path) => stat(path).catch(() => undefined)),
  );
  return file !== undefined && file.dev === queues?.dev;
}

/** null, zero, full, random, urandom, kmsg; tty, console, ptmx; the terminals. As dev_t of the C library has it. */
function isOrdinaryDevice(device: number): boolean {
  const major = (device >> 8) & 0xfff;
  return major === 1 || major === 5 || (major >= 136 && major <= 143) || isTunnel(major, device & 0xff);
}

/** /dev/net/tun, which CRIU knows. */
function isTunnel(major: number, minor: number): boolean {
  return major === 10 && minor === 200;
}

async function ofSockets(files: readonly OpenFile[]): Promise<Found[]> {
  return (await socketKinds(files)).flatMap(({ file, ...kind }) => {
    const obstacle = socketObstacle(kind);
    if (obstacle === undefined) return [];
    return [{ kind: obstacle.kind, pid: file.pid, object: `descriptor ${file.fd}${obstacle.name}` }];
  });
}

/** Connected streams whose other end no process of the task has. */
function ofStreams(pid: number, files: readonly OpenFile[]): Found[] {
  const owners = new Map<number, OpenFile>();
  for (const file of files) {
    const inode = /^socket:\[(\d+)\]$/.exec(file.target)?.[1];
    if (inode !== undefined) owners.set(Number(inode), file);
  }
  if (owners.size === 0) return [];
  let peers: Map<number, number>;
  try {
    peers = unixPeers(`/proc/${pid}/ns/net`);
  } catch {
    // The dump will say it.
    return [];
  }
  return [...owners].flatMap(([inode, file]): Found[] => {
    const peer = peers.get(inode);
    // 0: it has closed, or is a connection that nobody has accepted.
    if (peer === undefined || peer === 0 || owners.has(peer)) return [];
    return [{ kind: 'outside-stream', pid: file.pid, object: `descriptor ${file.fd}` }];
  });
}

async function ofBinds({ binds }: ObservedTask): Promise<Obstacle[]> {
  const found = await Promise.all(
    binds.map(async ({ source, destination }): Promise<Obstacle[]> => {
      const file = await stat(source).catch(() => undefined);
      return file?.isSocket() === true
        ? [{ kind: 'node-socket', pid: 0, command: '', object: `${source} at ${destination}` }]
        : [];
    }),
  );
  return found.flat();
}
