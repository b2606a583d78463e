import { execa } from 'execa';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ProxyInterceptor } from '../../../agent/sidecars/interceptor.ts';
import type { ProxyInterceptorOptions } from '../../../agent/sidecars/interceptor.ts';
import { spawnSidecar } from '../../../agent/sidecars/sidecar-process.ts';
import { TaskSidecar } from '../../../agent/sidecars/task-sidecar.ts';
import type { Caller, Method } from '../../../src/rpc/control/method.ts';
import { PROXY_TABLE } from '../../../agent/linux/proxy-table.ts';
import { Bed } from '../network/kernel-bed.ts';
import type { Program } from '../network/kernel-bed.ts';

/** Answers its control socket as a sidecar does, and carries nothing. `call` has it ask the agent. */
const FAKE_SIDECAR = `
import net from 'node:net';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
const config = JSON.parse(await text(process.stdin));
if (config.task === 'broken') process.exit(3);
rmSync(config.socket, { force: true });
net.createServer((socket) => {
  let asked;
  createInterface({ input: socket }).on('line', (text) => {
    const line = JSON.parse(text);
    const answer = (result) => socket.write(JSON.stringify({ answer: asked ?? line.call, result }) + '\\n');
    if (line.answer !== undefined) answer(line.error?.message ?? 'done');
    else if (line.method === 'status') answer({ pid: process.pid, config });
    else {
      asked = line.call;
      socket.write(JSON.stringify({ call: 1, method: line.params, params: { epoch: 5 } }) + '\\n');
    }
  });
}).listen(config.socket, () => process.stdout.write('ready\\n'));
`;

const CONFIG = {
  task: { service: 'bank_a', slot: '1', taskId: 't1', containerId: 'c1' },
  stack: 'bank',
  epoch: 4,
  subnets: ['10.99.0.0/24'],
  own: [{ address: '10.99.0.1', network: 'bank_n' }],
  previousAddresses: [],
  starts: 0,
};

interface Status {
  readonly pid: number;
  readonly config: Record<string, unknown>;
}

describe('a sidecar’s life', () => {
  let folder = '';
  let bed: Bed;
  let task: Program;
  let events: string[] = [];
  const made: ProxyInterceptor[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'swarmcut-life-'));
    writeFileSync(join(folder, 'main.mjs'), FAKE_SIDECAR);
    bed = await Bed.make({ a: '10.99.0.1/24' });
  });
  afterEach(async () => {
    for (const each of made.splice(0)) await each.detach();
    await task.stop();
    events = [];
  });
  afterAll(async () => {
    await bed.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The program runs in the namespace as soon as it says something. */
  async function interceptor(more: Partial<ProxyInterceptorOptions> = {}): Promise<ProxyInterceptor> {
    if (made.length === 0) {
      task = bed.program('a', `console.log('here'); setInterval(() => {}, 1000);`);
      await task.more(1);
    }
    const one = new ProxyInterceptor({
      netns: `/proc/${task.pid}/ns/net`,
      pid: task.pid,
      container: 'c1',
      task: 'bank_a.1',
      stack: 'bank',
      key: Buffer.alloc(32, 1),
      epoch: 4,
      socket: join(folder, 'control.sock'),
      logFile: join(folder, 'log'),
      subnets: ['10.99.0.0/24'],
      own: [{ address: '10.99.0.1', network: 'bank_n' }],
      main: join(folder, 'main.mjs'),
      onReady: () => events.push('ready'),
      onCrash: (reason) => events.push(`crash: ${reason}`),
      onTaskEnd: () => events.push('end'),
      ...more,
    });
    made.push(one);
    return one;
  }

  const status = async (of: ProxyInterceptor): Promise<Status> => (await of.call('status')) as unknown as Status;
  /** Has the sidecar ask for this, and tells what it has heard. */
  const ask = (of: ProxyInterceptor, method: string): Promise<unknown> =>
    (of as unknown as Caller<{ call: Method<string, unknown> }>).call('call', method);
  const hasRules = (): Promise<boolean> =>
    bed.run('a', ['nft', 'list', 'tables']).then((text) => text.includes(PROXY_TABLE));
  const runs = (pid: number): Promise<boolean> =>
    execa('kill', ['-0', String(pid)], { reject: false }).then(({ exitCode }) => exitCode === 0);

  it('begins with all it must know, and ends without leaving anything', async () => {
    const one = await interceptor();
    await one.attach();
    const { pid, config } = await status(one);
    expect(config).toMatchObject({ container: 'c1', task: 'bank_a.1', stack: 'bank', pid: task.pid, epoch: 4 });
    expect(config).toMatchObject({ key: Buffer.alloc(32, 1).toString('base64'), subnets: ['10.99.0.0/24'] });
    expect([one.pid, one.starts, events]).toEqual([pid, 1, ['ready']]);
    expect(await hasRules()).toBe(true);
    await one.detach();
    expect(await runs(pid)).toBe(false);
    expect(await hasRules()).toBe(false);
    await expect(one.call('status')).rejects.toMatchObject({ code: 'unreachable' });
    expect(events).toEqual(['ready']);
  });

  it('goes on without its agent, and is taken over by the next one', async () => {
    const old = await interceptor();
    await old.attach();
    const { pid } = await status(old);
    old.leave();
    const next = await interceptor({ starts: 1 });
    await next.adopt();
    expect((await status(next)).pid).toBe(pid);
    expect([next.pid, next.starts]).toEqual([pid, 1]);
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => events, { timeout: 60_000 }).toEqual(['ready', 'ready', 'crash: it is gone', 'ready']);
    expect((await status(next)).config).toMatchObject({ task: 'bank_a.1', epoch: 4 });
    expect(next.starts).toBe(2);
    expect(await hasRules()).toBe(true);
  });

  it('is begun again when it dies, as often as need be', async () => {
    const one = await interceptor();
    await one.attach();
    for (const starts of [2, 3]) {
      const { pid } = await status(one);
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => one.connected && one.starts, { timeout: 60_000 }).toBe(starts);
      expect((await status(one)).pid).not.toBe(pid);
    }
    expect(events.filter((event) => event === 'crash: SIGKILL')).toHaveLength(2);
  });

  it('ends with its task, and is not begun again', async () => {
    const one = await interceptor();
    await one.attach();
    const { pid } = await status(one);
    await task.stop();
    expect(one.taskAlive).toBe(false);
    process.kill(pid, 'SIGTERM');
    await expect.poll(() => events, { timeout: 60_000 }).toEqual(['ready', 'end']);
    await one.detach();
  });

  it('leaves nothing when its task ends while it is being detached', async () => {
    await interceptor();
    const { pid } = task;
    const dir = join(folder, 'c1');
    const spare = spawnSidecar(undefined, join(folder, 'main.mjs'));
    const sidecar = new TaskSidecar({
      dir,
      config: { ...CONFIG, pid },
      key: Buffer.alloc(32, 1),
      spare,
      log: () => undefined,
      onReady: () => undefined,
      onEnd: () => undefined,
    });
    await sidecar.attach();
    // The way into its namespace ends the task first.
    const real = (await execa('which', ['nsenter'])).stdout;
    writeFileSync(
      join(folder, 'nsenter'),
      `#!/bin/sh\nkill -9 ${pid} 2>/dev/null\nwhile [ -e /proc/${pid}/ns/net ]; do sleep 0.01; done\nexec ${real} "$@"\n`,
      { mode: 0o755 },
    );
    const { PATH } = process.env;
    process.env.PATH = `${folder}:${PATH}`;
    try {
      await sidecar.detach();
      expect(existsSync(dir)).toBe(false);
    } finally {
      process.env.PATH = PATH;
    }
  });

  it('asks its agent in a round, and is told when there is none', async () => {
    const one = await interceptor();
    await one.attach();
    expect(await ask(one, 'block')).toBe('the agent knows of no round');
    const asked: unknown[] = [];
    const note = (name: string) => (value?: unknown) => Promise.resolve(void asked.push([name, value]));
    const steps = ['block', 'freeze', 'save', 'advance', 'unblock', 'thaw', 'discard', 'report'] as const;
    one.host = Object.fromEntries(steps.map((name) => [name, note(name)])) as unknown as NonNullable<typeof one.host>;
    expect(await ask(one, 'save')).toBe('done');
    expect(asked).toEqual([['save', 5]]);
  });

  it('that cannot begin says why', async () => {
    const broken = await interceptor({ task: 'broken' });
    await expect(broken.attach()).rejects.toThrow(/sidecar of broken did not start: exit code 3/);
    const none = await interceptor({ socket: join(folder, 'none.sock') });
    await expect(none.adopt()).rejects.toMatchObject({ code: 'unreachable' });
  });
});
