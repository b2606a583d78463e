import { SwarmcutError } from '../model/errors.ts';
import { didSome, followed } from './activity.ts';
import { ProgressDeadline, seconds } from './deadlines.ts';
import { processorTime } from './processor-time.ts';
import { spawnProgram, type SpawnedProgram } from './libc/spawned.ts';

/** What {@link run} gives a program besides its arguments. */
export interface RunOptions {
  /** For its standard input. Default: none. */
  readonly input?: string;
  /** On top of our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Longest time without any use of a processor, by it or its children: then it hangs, is told to end (SIGTERM), and killed a little later. One that
   * is slow because the machine is busy is not. Ten times as long in all. Milliseconds; 0 or left out: any time.
   */
  readonly timeoutMs?: number;
  /** Aborted: the same. */
  readonly signal?: AbortSignal | undefined;
}

/** How a program ended. Texts are without their last newline. */
export interface Ended {
  /** Undefined if it never started or was ended by a signal: {@link problem} says which. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in the order in which they came. */
  readonly output: string;
  /** Why there is no exit code. */
  readonly problem: string | undefined;
  /** There is no such program. */
  readonly missing: boolean;
}

/** A program that was told to end gets so long for it. Milliseconds. */
const KILL_AFTER_MS = 5_000;

/** A program that uses the processor all the time may be going round in circles: it gets so many times its limit. */
const IN_ALL = 10;

/** Most that a program may write; what comes after that ends it. Bytes. */
const OUTPUT_LIMIT_BYTES = 100e6;

/** Runs one program to its end. Never rejects: how it ended is the answer. */
export async function run(command: readonly [string, ...string[]], options: RunOptions = {}): Promise<Ended> {
  const { input, env, timeoutMs = 0, signal } = options;
  let child: SpawnedProgram;
  try {
    child = spawnProgram(command, { ...process.env, ...env });
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const nothing = { stdout: '', stderr: '', output: '' };
    return { exitCode: undefined, ...nothing, problem: message, missing: code === 'ENOENT' };
  }
  const { pid } = child;
  const chunks: { readonly from: 'stdout' | 'stderr'; readonly data: Buffer }[] = [];
  let bytes = 0;
  let why: string | undefined;
  let kill: NodeJS.Timeout | undefined;
  const end = (reason: string): void => {
    why ??= reason;
    child.kill('SIGTERM');
    kill ??= setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  };
  using _limit = timeoutMs > 0 ? watchOver(pid, timeoutMs, end) : undefined;
  // For work of its own that takes long, such as unpacking, the program's processor time is the progress.
  using _seen = followed(async () => ({ doing: `${command[0]} runs`, mark: String(await processorTime(pid)) }));
  const abandon = (): void => end('it was given up');
  if (signal?.aborted === true) abandon();
  else signal?.addEventListener('abort', abandon, { once: true });

  for (const from of ['stdout', 'stderr'] as const) {
    child[from].on('data', (data: Buffer) => {
      bytes += data.length;
      if (bytes <= OUTPUT_LIMIT_BYTES) chunks.push({ from, data });
      else end(`more than ${OUTPUT_LIMIT_BYTES} bytes of output`);
    });
    // Its end is seen all the same.
    child[from].on('error', () => undefined);
  }
  // A program need not read what it is given.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input ?? '');

  const how = await child.ended;
  clearTimeout(kill);
  didSome();
  signal?.removeEventListener('abort', abandon);
  const text = (...from: readonly string[]): string =>
    Buffer.concat(chunks.filter((chunk) => from.includes(chunk.from)).map(({ data }) => data))
      .toString()
      .replace(/\n$/, '');
  const texts = { stdout: text('stdout'), stderr: text('stderr'), output: text('stdout', 'stderr') };
  const problem = why ?? (how.signal === undefined ? undefined : `ended by ${how.signal}`);
  return { exitCode: problem === undefined ? how.code : undefined, ...texts, problem, missing: false };
}

/** Ends a program that hangs. */
function watchOver(pid: number, limitMs: number, end: (reason: string) => void): Disposable {
  const deadline = new ProgressDeadline({
    limitMs,
    late: ({ idleMs }) => new Error(`no end, and nothing done for ${seconds(idleMs)}`),
  });
  deadline.signal.addEventListener('abort', () => end((deadline.signal.reason as Error).message), { once: true });
  const look = setInterval(() => {
    processorTime(pid).then(
      (time) => deadline.note({ doing: '', mark: String(time) }),
      () => undefined,
    );
  }, limitMs / 3);
  const inAll = setTimeout(() => end(`no end within ${seconds(IN_ALL * limitMs)}`), IN_ALL * limitMs);
  return {
    [Symbol.dispose]: () => {
      deadline[Symbol.dispose]();
      clearInterval(look);
      clearTimeout(inAll);
    },
  };
}

/** Runs one program to its end with `input` on stdin and resolves with its stdout, as {@link runProcess} does. */
export type Runner = (command: readonly string[], input?: string) => Promise<string>;

/** Nothing that {@link runProcess} is for waits for a peer: a program that does nothing for so long hangs. Milliseconds. */
const HANGS_AFTER_MS = 20_000;

/**
 * Runs one program to its end with `input` on stdin and resolves with its stdout, without the last newline. For tools of the node, whose messages
 * are in English.
 * @throws SwarmcutError `failed` with the program's own words if it cannot be started or exits non-zero
 */
export const runProcess: Runner = async ([file, ...args], input) => {
  if (file === undefined) throw new Error('empty command');
  const ended = await run([file, ...args], {
    env: { LC_ALL: 'C' },
    timeoutMs: HANGS_AFTER_MS,
    ...(input === undefined ? {} : { input }),
  });
  if (ended.exitCode === 0) return ended.stdout;
  const said = ended.stderr.trim().split('\n').slice(0, 3).join(' / ');
  const why = said || (ended.problem ?? `exit code ${ended.exitCode ?? 'none'}`);
  throw new SwarmcutError('failed', `${[file, ...args].join(' ')}: ${why}`, {
    ...(ended.missing ? { advice: `install ${file} on this node` } : {}),
  });
};

/** A command that runs another one in a network namespace. @param netns its path, such as `/proc/<pid>/ns/net` */
export function inNetwork(netns: string, command: readonly string[]): string[] {
  return ['nsenter', `--net=${netns}`, ...command];
}
