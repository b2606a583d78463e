import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { execa } from 'execa';

/** A few "tasks": network namespaces on one bridge, which itself is in a namespace of its own. */
export class Bed {
  readonly #prefix = `swk${process.pid}`;
  readonly #names: string[] = [];
  readonly #programs: Program[] = [];

  /** `tasks`: name → address with prefix length on the shared network. */
  static async make(tasks: Readonly<Record<string, string>>): Promise<Bed> {
    const bed = new Bed();
    await bed.#add('sw');
    const hub = bed.name('sw');
    await execa('ip', ['-n', hub, 'link', 'add', 'br0', 'type', 'bridge']);
    await execa('ip', ['-n', hub, 'link', 'set', 'br0', 'up']);
    for (const [task, address] of Object.entries(tasks)) {
      await bed.#add(task);
      const netns = bed.name(task);
      await execa('ip', ['-n', netns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', `v${task}`, 'netns', hub]);
      await execa('ip', ['-n', hub, 'link', 'set', `v${task}`, 'master', 'br0', 'up']);
      await execa('ip', ['-n', netns, 'address', 'add', address, 'dev', 'eth0']);
      await execa('ip', ['-n', netns, 'link', 'set', 'eth0', 'up']);
      await execa('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
    }
    return bed;
  }

  name(task: string): string {
    return `${this.#prefix}${task}`;
  }

  netns(task: string): string {
    return `/run/netns/${this.name(task)}`;
  }

  /** Runs a command in the task and gives its stdout. */
  async run(task: string, command: readonly string[], input = ''): Promise<string> {
    return (await execa('ip', ['netns', 'exec', this.name(task), ...command], { input })).stdout;
  }

  /** Starts a node program (the source of an ES module) in the task. */
  program(task: string, source: string, ...args: string[]): Program {
    const program = new Program(
      spawn(
        'ip',
        ['netns', 'exec', this.name(task), process.execPath, '--input-type=module', '-e', source, '--', ...args],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      ),
    );
    this.#programs.push(program);
    return program;
  }

  async remove(task: string): Promise<void> {
    await execa('ip', ['netns', 'del', this.name(task)]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()));
    for (const name of this.#names) await execa('ip', ['netns', 'del', name], { reject: false });
  }

  async #add(task: string): Promise<void> {
    await execa('ip', ['netns', 'add', this.name(task)]);
    this.#names.push(this.name(task));
  }
}

/** Only what hangs is late: on a busy machine a program may take many seconds to start. Milliseconds. */
const PATIENCE_MS = 60_000;

/** A child whose lines of output can be waited for. */
export class Program {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  #waiting: (() => void)[] = [];

  constructor(child: ChildProcess) {
    this.#child = child;
    if (!child.stdout) throw new Error('no stdout');
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.lines.push(line);
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const wake of waiting) wake();
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Resolves with the first line, at or after index `from`, that `accept` likes. */
  async line(accept: (line: string) => boolean, from = 0, timeoutMs = PATIENCE_MS): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (let at = from; ; at += 1) {
      while (at >= this.lines.length) {
        const left = deadline - Date.now();
        if (left <= 0) throw new Error(`no such line in time; the last ones: ${this.lines.slice(-5).join(' | ')}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left);
          this.#waiting.push(() => {
            clearTimeout(timer);
            resolve();
          });
        });
      }
      const line = this.lines[at] ?? '';
      if (accept(line)) return line;
    }
  }

  /** Waits for `count` further lines. */
  async more(count: number, timeoutMs?: number): Promise<void> {
    const from = this.lines.length;
    await this.line(() => true, from + count - 1, timeoutMs);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** Answers each line with the same line. Says `listening`, and each peer as `from ADDRESS`. Argument: port. */
export const ECHO = `
import net from 'node:net';
net.createServer((socket) => {
  console.log('from ' + socket.remoteAddress);
  socket.setNoDelay(true);
  socket.on('error', (error) => console.log('error ' + error.code));
  socket.pipe(socket);
}).listen(Number(process.argv[1]), '0.0.0.0', () => console.log('listening'));
`;

/**
 * Sends numbers and waits for each to come back before the next one; says each that came back, in order, or \`wrong …\`.
 * Arguments: address, port, pause between numbers in ms.
 */
export const PING = `
import net from 'node:net';
const [address, port, pauseMs] = process.argv.slice(1);
const socket = net.connect(Number(port), address);
socket.setNoDelay(true);
let next = 0;
let text = '';
const send = () => socket.write(next + '\\n');
socket.on('connect', send);
socket.on('error', (error) => console.log('error ' + error.code));
socket.on('close', () => console.log('closed'));
socket.on('data', (data) => {
  text += data;
  for (let end = text.indexOf('\\n'); end >= 0; end = text.indexOf('\\n')) {
    const line = text.slice(0, end);
    text = text.slice(end + 1);
    console.log((line === String(next) ? '' : 'wrong ') + line + ' ' + Date.now());
    next += 1;
    setTimeout(send, Number(pauseMs));
  }
});
`;
