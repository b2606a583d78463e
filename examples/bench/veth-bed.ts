/**
 * Two network namespaces with a veth pair between them, for what is measured without Docker. Nothing in it has a name: the namespaces belong
 * to two sleeping processes that die with this one, however it dies, and what runs in them goes with it.
 */
import { readlinkSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

const PATIENCE_MS = 15_000;
const LOOK_EVERY_MS = 50;
/** As much of a failed program's last words as an error has. */
const ERROR_CHARACTERS = 400;

/** Every child dies with the thread that has started it, also after an exec. */
const WITH_US = ['--pdeathsig', 'KILL'];

/** Runs a command in the cached root ($1) with the folder $2 at /mnt, in a mount namespace of its own; it keeps the pid. */
const IN_ROOT = `
  set -e
  root=$1
  mount --bind "$2" "$root/mnt"
  mount --rbind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  mount -t tmpfs tmpfs "$root/tmp"
  shift 2
  exec chroot "$root" env LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"`;

export interface VethBedOptions {
  /** The cached root, from which programs run. */
  readonly root: string;
  /** First three octets of the /24 between the two. */
  readonly prefix: string;
  readonly signal: AbortSignal;
}

/** One of the two namespaces. */
export interface Side {
  readonly address: string;
  /** The process that keeps the namespace, as a task's first process keeps its own. */
  readonly pid: number;
  readonly netns: string;
}

/** Of execa's. */
interface Child extends PromiseLike<unknown> {
  kill(signal: 'SIGKILL'): boolean;
}

/** A program that runs until the bed is closed. */
export interface Daemon {
  readonly pid: number;
}

export class VethBed {
  readonly #options: VethBedOptions;
  /** Shared by all programs, at /mnt in theirs; for sockets, logs and configurations. */
  readonly folder: string;
  readonly client: Side;
  readonly server: Side;
  readonly #children: Child[];

  private constructor(options: VethBedOptions, folder: string, sides: readonly [Side, Side], children: Child[]) {
    this.#options = options;
    this.folder = folder;
    [this.client, this.server] = sides;
    this.#children = children;
  }

  static async make(options: VethBedOptions): Promise<VethBed> {
    const { prefix, signal } = options;
    const children: Child[] = [];
    const folder = await mkdtemp(path.join(tmpdir(), 'swarmcut-bench-'));
    const side = async (address: string): Promise<Side> => {
      const child = execa('setpriv', [...WITH_US, 'unshare', '--net', 'sleep', 'infinity'], { reject: false });
      children.push(child);
      const pid = child.pid ?? -1;
      const netns = `/proc/${pid}/ns/net`;
      const ours = readlinkSync('/proc/self/ns/net');
      await until('a network namespace', () => Promise.resolve(readlinkSync(netns) !== ours), signal);
      return { address, pid, netns };
    };
    const sides = [await side(`${prefix}.1`), await side(`${prefix}.2`)] as const;
    const bed = new VethBed(options, folder, [...sides], children);
    try {
      await bed.tool(
        bed.client,
        'ip',
        'link',
        'add',
        'eth0',
        'type',
        'veth',
        'peer',
        'eth0',
        'netns',
        `${sides[1].pid}`,
      );
      for (const each of sides) {
        await bed.tool(each, 'ip', 'address', 'add', `${each.address}/24`, 'dev', 'eth0');
        for (const link of ['lo', 'eth0']) await bed.tool(each, 'ip', 'link', 'set', link, 'up');
      }
      return bed;
    } catch (error) {
      await bed.close();
      throw error;
    }
  }

  get subnet(): string {
    return `${this.#options.prefix}.0/24`;
  }

  /** Runs one of this machine's own tools in a namespace. @returns its output */
  async tool(side: Side, ...command: string[]): Promise<string> {
    const { stdout } = await execa('nsenter', [`--net=${side.netns}`, ...command], this.#cancel);
    return stdout;
  }

  /** Runs a program of the cached root that must succeed. @returns its output */
  async run(side: Side, ...command: string[]): Promise<string> {
    const { signal } = this.#options;
    const options = { ...this.#cancel, reject: false } as const;
    const { exitCode, stdout, stderr } = await execa('setpriv', this.#inRoot(side, command), options);
    signal.throwIfAborted();
    if (exitCode === 0) return stdout;
    // iperf3 -J puts its errors into its answer.
    const said = [stderr, stdout].filter((text) => text !== '').join('\n');
    throw new Error(`${command.join(' ')}: exit code ${exitCode ?? 'none'}: ${said.slice(-ERROR_CHARACTERS)}`);
  }

  /** Starts a program of the cached root, and waits until it listens on `port`. */
  async daemon(side: Side, port: number, ...command: string[]): Promise<Daemon> {
    const child = execa('setpriv', this.#inRoot(side, command), { reject: false, all: true, stdin: 'ignore' });
    this.#children.push(child);
    let ended = false;
    void child.then(() => (ended = true));
    await until(
      `${command.join(' ')} to listen`,
      async () => {
        if (ended) throw new Error(`${command.join(' ')} has ended: ${(await child).all}`);
        return this.#listens(side, port);
      },
      this.#options.signal,
    );
    return { pid: child.pid ?? -1 };
  }

  /** Resolves when somebody listens on the port. */
  async listening(side: Side, port: number): Promise<void> {
    await until(`a listener on port ${port}`, () => this.#listens(side, port), this.#options.signal);
  }

  /** Ends everything that runs in it. */
  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(this.#children);
    await rm(this.folder, { recursive: true, force: true });
  }

  async #listens(side: Side, port: number): Promise<boolean> {
    return (await this.tool(side, 'ss', '-Hltn', 'sport', '=', `:${port}`)) !== '';
  }

  get #cancel(): { cancelSignal: AbortSignal; stdin: 'ignore' } {
    return { cancelSignal: this.#options.signal, stdin: 'ignore' };
  }

  #inRoot(side: Side, command: readonly string[]): string[] {
    const namespaces = ['nsenter', `--net=${side.netns}`, 'unshare', '--mount', '--propagation', 'private'];
    return [...WITH_US, ...namespaces, 'sh', '-c', IN_ROOT, 'sh', this.#options.root, this.folder, ...command];
  }
}

/** Looks until it is so. @throws Error with `what` after 15 s, and the signal's reason at once */
export async function until(what: string, look: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${PATIENCE_MS / 1000} s`);
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
}

/** CPU time that a process and its threads have used, in user and in kernel mode. Seconds. */
export async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may contain anything (proc_pid_stat(5)); the times are fields 14 and 15, in ticks of 10 ms.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** What a process has in memory, and the part of it that is its own by right: shared pages are divided among those who share. MB. */
export async function memoryOf(pid: number): Promise<{ readonly rssMB: number; readonly pssMB: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const megabytes = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1024;
  return { rssMB: megabytes('Rss'), pssMB: megabytes('Pss') };
}

/** From here on the high-water mark counts anew (proc(5), clear_refs). */
export async function resetMemoryPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5');
}

/** The most that a process had resident since {@link resetMemoryPeak}. MB. */
export async function memoryPeakMB(pid: number): Promise<number> {
  return Number(/^VmHWM:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
