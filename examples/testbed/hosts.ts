/** Hosts of a bed: starting them, finding their init, running commands in them. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { execa } from 'execa';
import { createHostCgroup, engineCgroupParent } from './cgroups.ts';
import { layCriuLimits } from './criu/limits.ts';
import { TestbedError, bedName, paths, projectDir } from './layout.ts';
import type { BedOptions, BedRecord, HostRecord } from './layout.ts';
import { waitFor } from './progress.ts';
import { requireRecord } from './record.ts';

/** Seconds the engine gives its containers when it is stopped: a bed going down need not be patient. */
const ENGINE_SHUTDOWN_S = 3;

/** Where npm puts the Node that the package depends on, seen from the package. */
const NODE_IN_PACKAGE = 'node_modules/.bin/node';

const PATH_IN_HOST = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Lays out a host's directory and the files it has over the shared root. Certificates come from certificates.ts.
 *
 * @param limits for its CRIU, see criu/limits.ts
 */
export async function prepareHost(record: BedRecord, node: HostRecord, limits: string | undefined): Promise<void> {
  const dir = paths.host(record.name, node.name);
  for (const sub of ['up', 'work', 'mnt', 'docker', 'swarmcut', 'log']) {
    await mkdir(path.join(dir, sub), { recursive: true });
  }
  const hosts = ['127.0.0.1 localhost', ...record.nodes.map((other) => `${other.address} ${other.name}`)];
  const daemon = {
    hosts: ['unix:///var/run/docker.sock'],
    'storage-driver': 'overlay2',
    'cgroup-parent': engineCgroupParent(record.name, node.name),
    'exec-opts': ['native.cgroupdriver=cgroupfs'],
    'shutdown-timeout': ENGINE_SHUTDOWN_S,
  };
  await write(dir, 'etc/hostname', `${node.name}\n`);
  await write(dir, 'etc/hosts', `${hosts.join('\n')}\n`);
  await write(dir, 'etc/docker/daemon.json', `${JSON.stringify(daemon, null, 2)}\n`);
  await linkNode(dir);
  await layCriuLimits(path.join(dir, 'up'), limits);
  for (const program of ['coordinator', 'agent']) {
    await write(
      dir,
      `usr/local/bin/${program}`,
      `#!/bin/sh\nexec node /opt/swarmcut/dist/${program}/main.js "$@"\n`,
      0o755,
    );
  }
}

/** The package's own Node, before Debian's in the host's PATH: whatever is swarmcut's in a host runs on it. */
async function linkNode(dir: string): Promise<void> {
  if (!existsSync(path.join(projectDir(), NODE_IN_PACKAGE))) {
    throw new TestbedError(`there is no ${NODE_IN_PACKAGE} in ${projectDir()}: 'npm ci' brings it in`);
  }
  const link = path.join(dir, 'up/usr/local/bin/node');
  await mkdir(path.dirname(link), { recursive: true });
  await rm(link, { force: true });
  await symlink(path.join('/opt/swarmcut', NODE_IN_PACKAGE), link);
}

async function write(dir: string, file: string, text: string, mode = 0o644): Promise<void> {
  const full = path.join(dir, 'up', file);
  await mkdir(path.dirname(full), { recursive: true });
  await writeFile(full, text, { mode });
}

/**
 * Starts a host: its network namespace must exist and {@link prepareHost} must have run. Returns when its init runs (the
 * engine may need some seconds more).
 *
 * @throws TestbedError with the last lines of init.log if the init does not come up.
 */
export async function startHost(record: BedRecord, node: HostRecord): Promise<void> {
  const dir = paths.host(record.name, node.name);
  await rm(path.join(dir, 'init.pid'), { force: true });
  const cgroup = await createHostCgroup(record.name, node.name);
  const log = openSync(path.join(dir, 'init.log'), 'a');
  const namespaces = ['--mount', '--pid', '--fork', '--uts', '--ipc', ...(cgroup === undefined ? [] : ['--cgroup'])];
  const enter = path.join(projectDir(), 'examples/testbed/host/enter.sh');
  const launcher = spawn(
    'sh',
    [
      '-c',
      // The group is joined before the cgroup namespace is made, so that the namespace's root is the host's group.
      'if [ -n "$1" ]; then echo 0 >"$1/cgroup.procs"; fi; shift; exec "$@"',
      'sh',
      cgroup ?? '',
      'nsenter',
      `--net=/run/netns/${paths.netns(record.name, node.name)}`,
      'unshare',
      ...namespaces,
      'sh',
      enter,
      node.name,
      dir,
      record.root,
      projectDir(),
    ],
    { stdio: ['ignore', log, log], detached: true, cwd: '/' },
  );
  closeSync(log);
  launcher.unref();
  const ended = new Promise<string>((resolve) => {
    launcher.once('exit', (code) => {
      resolve(`ended with code ${code ?? 'none'}`);
    });
    launcher.once('error', (error) => {
      resolve(error.message);
    });
  });
  const up = waitFor(`host ${node.name}`, async () => (await isInitExec(record.name, node.name)) || undefined, {
    timeoutMs: 15_000,
    intervalMs: 20,
  }).then(() => undefined);
  const failure = await Promise.race([up, ended]);
  if (failure !== undefined) {
    const tail = (await readFile(path.join(dir, 'init.log'), 'utf8')).trimEnd().split('\n').slice(-5).join('\n  ');
    throw new TestbedError(`host ${node.name} of test bed '${record.name}' did not start: ${failure}\n  ${tail}`);
  }
}

/** Whether the host's init has got as far as being tini: everything is mounted then. */
async function isInitExec(bed: string, node: string): Promise<boolean> {
  const pid = await hostPid(bed, node);
  return pid !== undefined && (await readFile(`/proc/${pid}/comm`, 'utf8')).trim() === 'tini';
}

/** Pid of the host's init as the machine sees it, or `undefined` if the host is not running. */
export async function hostPid(bed: string, node: string): Promise<number | undefined> {
  const recorded = await readFile(path.join(paths.host(bed, node), 'init.pid'), 'utf8').catch(() => undefined);
  const [pid, start] = recorded?.trim().split(' ') ?? [];
  if (pid === undefined || start === undefined) return undefined;
  const fields = await statFields(Number(pid));
  // State Z: killed, and whoever started it has not asked yet.
  return fields?.start === start && fields.state !== 'Z' ? Number(pid) : undefined;
}

/** State, parent and start time (clock ticks since boot) of a process; `undefined` if there is none. */
export async function statFields(pid: number): Promise<{ state: string; parent: number; start: string } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The second field is the command's name in parentheses and may contain anything: count from its end.
  const rest = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, start] = [rest?.[0], rest?.[19]];
  return state === undefined || start === undefined ? undefined : { state, parent: Number(rest?.[1]), start };
}

/** Where a command's standard streams go, and how long it may take. */
export interface ExecOptions {
  /** Text or bytes for standard input; default: none (at end of file at once). */
  readonly input?: string | Uint8Array | Readable;
  /** Hand our own standard streams to the command instead of collecting its output. */
  readonly inherit?: boolean;
  /** Also write output there as it comes. */
  readonly stdout?: Writable;
  readonly stderr?: Writable;
  /** Milliseconds after which the command is killed. Default: no limit. */
  readonly timeoutMs?: number;
  /** Kills the command when aborted. */
  readonly signal?: AbortSignal;
  /** Added to the host's plain environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How a command in a host ended. */
export interface ExecResult {
  /** Exit code; 128 + signal number if a signal ended it. */
  readonly exitCode: number;
  /** Collected output without the last line end; empty with `inherit`. */
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/**
 * Runs a command in a host's namespaces, as root, in `/`. A failing command is no error: see `exitCode`.
 *
 * @throws TestbedError if there is no such bed or host, or the host is not running.
 */
export async function execOn(
  options: BedOptions,
  node: string,
  argv: readonly string[],
  io: ExecOptions = {},
): Promise<ExecResult> {
  const bed = bedName(options);
  const pid = await requireHostPid(bed, node);
  const cgroup = await hostCgroup(pid);
  const result = await execa(
    'sh',
    [
      '-c',
      'if [ -n "$1" ]; then echo 0 >"$1/cgroup.procs"; fi; shift; exec "$@"',
      'sh',
      cgroup,
      'nsenter',
      `--target=${pid}`,
      ...['--mount', '--uts', '--ipc', '--net', '--pid', ...(cgroup === '' ? [] : ['--cgroup'])],
      // nsenter waits outside for its child inside: if it is killed, the command must not live on.
      ...['setpriv', '--pdeathsig', 'KILL', ...argv],
    ],
    {
      reject: false,
      extendEnv: false,
      env: { PATH: PATH_IN_HOST, HOME: '/root', LANG: 'C.UTF-8', TERM: process.env.TERM ?? 'dumb', ...io.env },
      cwd: '/',
      forceKillAfterDelay: 1000,
      ...(io.inherit === true
        ? { stdio: 'inherit' as const }
        : {
            ...(io.input === undefined
              ? { stdin: 'ignore' as const }
              : typeof io.input === 'string' || io.input instanceof Uint8Array
                ? { input: io.input }
                : { stdin: ['pipe' as const, io.input] }),
            stdout: io.stdout === undefined ? ('pipe' as const) : ['pipe' as const, io.stdout],
            stderr: io.stderr === undefined ? ('pipe' as const) : ['pipe' as const, io.stderr],
          }),
      ...(io.timeoutMs === undefined ? {} : { timeout: io.timeoutMs }),
      ...(io.signal === undefined ? {} : { cancelSignal: io.signal }),
    },
  );
  return {
    exitCode: result.exitCode ?? 128 + (result.signal === undefined ? 0 : (SIGNAL_NUMBERS[result.signal] ?? 0)),
    stdout: result.stdout,
    stderr: result.stderr,
    timedOut: result.timedOut,
  };
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** v2: the group of the host's init, for a command to join. v1: none, the host's processes stay in the machine's groups. */
async function hostCgroup(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/cgroup`, 'utf8');
  const match = /^0::(\/swarmcut-.*)$/m.exec(text);
  return match?.[1] === undefined ? '' : `/sys/fs/cgroup${match[1]}`;
}

/**
 * Path, on this machine, of a file in a running host: through the root of its init, so also for sockets and tmpfs.
 *
 * @throws TestbedError if the host is not running.
 */
export async function pathInHost(options: BedOptions, node: string, file: string): Promise<string> {
  return path.join(`/proc/${await requireHostPid(bedName(options), node)}/root`, file);
}

async function requireHostPid(bed: string, node: string): Promise<number> {
  const record = await requireRecord(bed);
  const known = record.nodes.map((host) => host.name);
  if (!known.includes(node)) {
    throw new TestbedError(`test bed '${bed}' has no node '${node}': it has ${known.join(', ')}`);
  }
  const pid = await hostPid(bed, node);
  if (pid === undefined) {
    throw new TestbedError(
      `node '${node}' of test bed '${bed}' is not running: 'coordinator testbed up' makes the bed anew`,
    );
  }
  return pid;
}
