import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { vi } from 'vitest';
import { readCriuFailure } from '../../../agent/runtime/criu/log.ts';
import { restoreArguments, restoreEnvironment, Runc } from '../../../agent/runtime/criu/runc.ts';
import { restoreHook } from '../../../agent/network/rewriting/restore-hook.ts';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { returnLimits } from '../../../agent/surroundings/resource-limits.ts';
import { prepareSurroundings } from '../../../agent/surroundings/restore.ts';
import type { FilesOf } from '../../../agent/files/save.ts';
import { criuLimitsPreload, layCriuLimits } from '../../../examples/testbed/criu/limits.ts';
import { ensureRoot } from '../../../examples/testbed/images/root.ts';
import { Reporter } from '../../../examples/testbed/progress.ts';

/** Enters a Debian with runc and CRIU: CRIU wants a root that is a mount of its own (`chroot` is not enough). */
const ENTER = `set -e
mount --make-rprivate /
mkdir -p $DIR/host/up $DIR/host/work $DIR/host/root
mount -t overlay overlay -o lowerdir=$ROOT,upperdir=$DIR/host/up,workdir=$DIR/host/work $DIR/host/root
cd $DIR/host/root
mkdir -p ./$DIR old image
mount --bind $ROOT image
mount --rbind /proc proc; mount --rbind /sys sys; mount --rbind /dev dev
mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs tmp
mkdir -p ./$DIR; mount --bind $DIR ./$DIR
pivot_root . old; umount -l /old
ip link set lo up
touch $DIR/ready
exec sleep infinity`;

/**
 * A host with real runc and CRIU, in mount and network namespaces of its own; nothing in it outlives {@link close}. Its paths below
 * `dir` are the same inside and outside.
 */
export class CriuHost {
  readonly dir: string;
  readonly runc: Runc;
  readonly #holder: ChildProcess;
  readonly #containers: Container[] = [];

  static async start(): Promise<CriuHost> {
    const reporter = new Reporter(undefined);
    const root = await ensureRoot(reporter);
    const dir = mkdtempSync(join(tmpdir(), 'criu-'));
    await layCriuLimits(join(dir, 'host/up'), await criuLimitsPreload(reporter));
    const holder = spawn('unshare', ['--mount', '--net', '--ipc', '--uts', 'sh', '-c', ENTER], {
      env: { ...process.env, ROOT: root, DIR: dir },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await vi.waitFor(() => {
      if (!existsSync(join(dir, 'ready'))) throw new Error('the host is not ready');
    }, 10_000);
    return new CriuHost(dir, holder);
  }

  private constructor(dir: string, holder: ChildProcess) {
    this.dir = dir;
    this.#holder = holder;
    const enter = join(dir, 'runc');
    // PATH as the test bed's hosts have it: CRIU's wrapper lies in /usr/local/sbin.
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    writeFileSync(enter, `#!/bin/sh\n${path} exec nsenter -t ${String(holder.pid)} -m -n -i -u -- runc "$@"\n`);
    chmodSync(enter, 0o755);
    this.runc = new Runc({ binary: enter, root: '/run/runc' });
  }

  /** The process that has the host's namespaces. */
  get holder(): number {
    return this.#holder.pid ?? -1;
  }

  /** A path of the host as seen from outside: what is mounted in it is seen nowhere else. */
  path(path: string): string {
    return `/proc/${String(this.#holder.pid)}/root${path}`;
  }

  /** Runs a command of the host. */
  async exec(command: readonly string[], input = ''): Promise<string> {
    const { stdout } = await execa('nsenter', ['-t', String(this.#holder.pid), '-m', '-n', '-i', '-u', ...command], {
      input,
    });
    return stdout;
  }

  async run(script: string): Promise<string> {
    return this.exec(['sh', '-euc', script]);
  }

  /**
   * Makes a bundle with a root of its own over the image; nothing runs yet.
   * @param args a program that is frozen must write each line in one piece: Python does when it is told to `flush`, and not with `-u`, where each
   *   argument of `print` is a write of its own
   * @param change what the bundle has besides
   */
  async container(id: string, args: readonly string[], change: BundleChange = () => undefined): Promise<Container> {
    const container = new Container(this, `${id}-${process.pid}`, args, change);
    this.#containers.push(container);
    await container.prepare();
    return container;
  }

  async close(): Promise<void> {
    for (const container of this.#containers) await container.remove();
    this.#holder.kill('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** As much of a bundle's `config.json` as tests change. */
export interface TestSpec {
  hostname: string;
  process: {
    args: readonly string[];
    terminal: boolean;
    user?: { uid: number; gid: number; additionalGids?: readonly number[]; umask?: number };
    capabilities?: Record<string, readonly string[]>;
    rlimits?: readonly { type: string; soft: number; hard: number }[];
  };
  root: { readonly: boolean };
  mounts: { destination: string; type: string; source: string; options?: readonly string[] }[];
  linux: { cgroupsPath?: string; seccomp?: unknown; sysctl?: Record<string, string>; resources?: object };
}
export type BundleChange = (spec: TestSpec) => void;

export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly #host: CriuHost;
  readonly #args: readonly string[];
  readonly #change: BundleChange;
  #started: ChildProcess | undefined;
  #output = '';

  constructor(host: CriuHost, id: string, args: readonly string[], change: BundleChange) {
    this.#change = change;
    this.#host = host;
    this.id = id;
    this.#args = args;
    this.bundle = join(host.dir, id);
  }

  get rootfs(): string {
    return join(this.bundle, 'rootfs');
  }

  /** Lines that the container's program has written since it was started or restored. */
  get lines(): string[] {
    return this.#output.split('\n').slice(0, -1);
  }

  async prepare(): Promise<void> {
    for (const part of ['upper', 'work', 'rootfs']) mkdirSync(join(this.bundle, part), { recursive: true });
    await this.#host.run(`cd ${this.bundle}
      mount -t overlay overlay -o lowerdir=/image,upperdir=$PWD/upper,workdir=$PWD/work rootfs
      runc spec`);
    const file = join(this.bundle, 'config.json');
    const spec = JSON.parse(readFileSync(file, 'utf8')) as TestSpec;
    spec.process.args = this.#args;
    // As the engine's default profile does. Node would use io_uring, and CRIU cannot dump its rings.
    spec.linux.seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['io_uring_setup'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 }],
    };
    spec.process.terminal = false;
    spec.root.readonly = false;
    spec.linux.cgroupsPath = `/swarmcut-test-${this.id}`;
    this.#change(spec);
    // As the engine does: without loopback and a default route, connections cannot be restored.
    const loopback = `nsenter -t $(grep -o '"pid":[0-9]*' | cut -d: -f2) -n sh -c 'ip link set lo up; ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up; ip route add default dev eth0; ip -6 route add default dev eth0'`;
    writeFileSync(file, JSON.stringify(spec));
    this.#addHook({ path: '/bin/sh', args: ['sh', '-c', loopback], env: ['PATH=/usr/sbin:/usr/bin:/bin'] });
  }

  async start(): Promise<void> {
    await this.#launch(['run', '--detach', '--bundle', this.bundle, this.id], {});
  }

  /**
   * Restores behind the block, as an agent does, and opens it.
   * @param ownAddresses addresses that its sockets have and the new container has not
   * @param whileBlocked what is to be done when its processes are there, before the block is opened
   * @throws what runc said
   */
  async restore(
    imagePath: string,
    criuConfigFile: string,
    ownAddresses: readonly string[] = [],
    whileBlocked: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const plan = { ownAddresses: [...ownAddresses], rewrites: [], close: [] };
    const surroundings = await prepareSurroundings(
      { bundle: this.bundle, imageDir: imagePath },
      join(this.bundle, 'at-start'),
    );
    const dir = join(this.bundle, 'hook');
    const script = await restoreHook({ plan, blockTimeoutMs: 60_000, dir, ...surroundings });
    this.#addHook({ path: script });
    const options = { containerId: this.id, bundle: this.bundle, pidFile: join(this.bundle, 'pid'), imagePath };
    const workPath = join(this.bundle, 'restore');
    mkdirSync(workPath);
    await this.#launch(restoreArguments({ ...options, workPath }), restoreEnvironment(criuConfigFile));
    await returnLimits(this.bundle, (resources) => this.#host.runc.update(this.id, resources));
    await whileBlocked();
    await new KernelInterceptor({ netns: `/proc/${await this.pid()}/ns/net` }).unblock();
  }

  /** Runs a command of the host in the container's network namespace. */
  async inNetwork(command: readonly string[], input = ''): Promise<string> {
    const { pid } = await this.#host.runc.state(this.id);
    return this.#host.exec(['nsenter', `--net=/proc/${pid}/ns/net`, ...command], input);
  }

  #addHook(hook: { readonly path: string; readonly args?: readonly string[]; readonly env?: readonly string[] }): void {
    const file = join(this.bundle, 'config.json');
    const spec = JSON.parse(readFileSync(file, 'utf8')) as { hooks?: { prestart?: unknown[] } };
    spec.hooks = { prestart: [...(spec.hooks?.prestart ?? []), hook] };
    writeFileSync(file, JSON.stringify(spec));
  }

  /**
   * runc hands its stdout and stderr on to the container. They must be pipes, as those of the engine's shim are; Node would make
   * sockets of them, hence the shell.
   */
  async #launch(args: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
    const codeFile = join(this.bundle, 'exit-code');
    const script = '{ "$@" 2>&1; echo $? >"$0.new"; mv "$0.new" "$0"; } | cat';
    const child = spawn('sh', ['-c', script, codeFile, ...this.#host.runc.command(...args)], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#started = child;
    child.stdout.on('data', (data: Buffer) => (this.#output += data.toString()));
    await vi.waitFor(() => {
      if (!existsSync(codeFile)) throw new Error(`runc ${args[0] ?? ''} does not end`);
    }, 30_000);
    if (readFileSync(codeFile, 'utf8') === '0\n') return;
    const failure = await readCriuFailure(join(this.bundle, 'restore'), 'restore.log');
    throw new Error(`runc ${args[0] ?? ''} of ${this.id}: ${[...failure.lines, this.#output].join('\n')}`);
  }

  /** The node's number of its first process. */
  async pid(): Promise<number> {
    return (await this.#host.runc.state(this.id)).pid;
  }

  async facts(): Promise<FilesOf> {
    const { pid } = await this.#host.runc.state(this.id);
    return { pid, upperDir: join(this.bundle, 'upper'), volumes: [], binds: [], shm: { kind: 'inside' } };
  }

  async remove(): Promise<void> {
    await execa(this.#host.runc.command()[0] ?? '', ['--root', '/run/runc', 'delete', '--force', this.id], {
      reject: false,
    });
    this.#started?.stdout?.destroy();
  }
}
