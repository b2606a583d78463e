import { existsSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseCreate } from '../../../../agent/runtime/shim/command-line.ts';
import { pause } from '../../../../src/platform/deadlines.ts';
import { runShimClient } from '../../../../agent/runtime/shim/client.ts';
import { runStart } from '../../../../agent/runtime/shim/start.ts';
import { ShimServer } from '../../../../agent/runtime/shim/server.ts';
import type {
  CreateAnswer,
  CreateRequest,
  RestoredRequest,
  ShimHandler,
  StartHandler,
  StartRequest,
} from '../../../../agent/runtime/shim/server.ts';
import { shimFixture } from './fixture.ts';
import type { ShimFixture } from './fixture.ts';

const LABELS = { 'com.docker.swarm.service.name': 'bank_a', 'com.docker.swarm.task.id': 't1' };
const RESTORE: CreateAnswer = { action: 'restore', args: ['restore', '--detach', 'c1'], env: { FAKE_ENV: 'x' } };

let fixture: ShimFixture;
let server: ShimServer | undefined;
beforeEach(() => {
  fixture = shimFixture();
  fixture.container('c1', LABELS);
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  fixture.remove();
});

const argv = (): string[] => [
  '--root',
  '/r',
  '--log',
  fixture.log,
  '--log-format',
  'json',
  'create',
  '--bundle',
  '/b',
  '--pid-file',
  '/p',
  'c1',
];
const globals = (): string => `--root /r --log ${fixture.log} --log-format json`;

async function listen(handler: Partial<ShimHandler & StartHandler>): Promise<ShimServer> {
  const refuse = (): never => {
    throw new Error('not to be asked');
  };
  const made = new ShimServer({
    socketPath: join(fixture.run, 'shim.sock'),
    handler: { create: refuse, restored: refuse, ...handler },
    sidecars: { start: refuse, ...handler },
    log: { warn: () => undefined },
  });
  await made.listen();
  server = made;
  return made;
}

function client(patienceMs = 2_000): Promise<number> {
  return runShimClient(
    argv(),
    { run: fixture.run },
    {
      env: { SWARMCUT_RUNC: fixture.runc, SWARMCUT_DATA_ROOT: fixture.dataRoot, SWARMCUT_SERVICE: 'bank_a' },
      patienceMs,
    },
  );
}

/** The message that the engine shows. */
function reported(): string {
  const last = readFileSync(fixture.log, 'utf8').trimEnd().split('\n').at(-1) ?? '';
  return (JSON.parse(last) as { msg: string }).msg;
}

describe('agent shim', () => {
  it('lets an ordinary container be created as the engine asked, and returns runc’s code', async () => {
    const asked: CreateRequest[] = [];
    await listen({
      create: (request) => {
        asked.push(request);
        return Promise.resolve({ action: 'pass' });
      },
    });
    expect(statSync(join(fixture.run, 'shim.sock')).mode & 0o777).toBe(0o600);
    expect(await client()).toBe(0);
    expect(asked).toEqual([
      {
        containerId: 'c1',
        service: 'bank_a',
        bundle: '/b',
        pidFile: '/p',
        options: ['--bundle', '/b', '--pid-file', '/p'],
        globals: globals().split(' '),
        labels: LABELS,
      },
    ]);
    expect(fixture.calls()).toEqual([argv().join(' ')]);
    fixture.put('code.create', '3');
    expect(await client()).toBe(3);
  });

  it('restores, and reports success only when the agent has released the task', async () => {
    const reports: RestoredRequest[] = [];
    let marked: boolean | undefined;
    await listen({
      create: () => Promise.resolve(RESTORE),
      restored: (request) => {
        reports.push(request);
        marked = fixture.exists('run/restored/c1');
        return Promise.resolve({ action: 'ok' });
      },
    });
    expect(await client()).toBe(0);
    expect(fixture.calls()).toEqual([`${globals()} restore --detach c1`, 'env x']);
    expect(reports).toEqual([{ containerId: 'c1', code: 0, log: '' }]);
    expect(marked).toBe(false);
    expect(fixture.exists('run/restored/c1')).toBe(true);
  });

  it('deletes what a failed restore left, and says why where the engine looks', async () => {
    fixture.put('code.restore', '1');
    const reports: RestoredRequest[] = [];
    await listen({
      create: () => Promise.resolve(RESTORE),
      restored: (request) => {
        reports.push(request);
        return Promise.resolve({ action: 'fail', message: `task bank_a.1: ${request.log}` });
      },
    });
    expect(await client()).toBe(1);
    expect(reports).toMatchObject([{ code: 1, log: 'criu failed: type RESTORE errno 22' }]);
    expect(fixture.calls().at(-1)).toBe(`${globals()} delete --force c1`);
    expect(reported()).toBe('swarmcut: task bank_a.1: criu failed: type RESTORE errno 22');
    expect(fixture.exists('run/restored/c1')).toBe(false);
  });

  it('fails when the agent says so, or throws, without running runc', async () => {
    await listen({ create: () => Promise.resolve({ action: 'fail', message: 'the restore was given up' }) });
    expect(await client()).toBe(1);
    expect(reported()).toBe('swarmcut: the restore was given up');
    await server?.close();
    await listen({ create: () => Promise.reject(new Error('a bug')) });
    expect(await client()).toBe(1);
    expect(reported()).toBe('swarmcut: a bug');
    expect(fixture.calls()).toEqual([]);
  });

  it('fails, rather than starting the task empty, when there is no agent', async () => {
    expect(await client(0)).toBe(1);
    expect(reported()).toMatch(/the agent does not answer, and this task of service bank_a is to be restored/);
    expect(fixture.calls()).toEqual([]);
  });

  it('asks again when the agent is restarted while the container waits', async () => {
    let asked: (() => void) | undefined;
    const first = new Promise<void>((resolve) => (asked = resolve));
    let gone = false;
    const old = await listen({
      create: (_request, signal) => {
        asked?.();
        signal.addEventListener('abort', () => (gone = true));
        return new Promise(() => undefined);
      },
    });
    const code = client(20_000);
    await first;
    await old.close();
    await listen({ create: () => Promise.resolve({ action: 'pass' }) });
    expect(await code).toBe(0);
    expect(gone).toBe(true);
    expect(fixture.calls()).toEqual([argv().join(' ')]);
  });

  it('is missed by the agent when it dies while runc restores, but not when it goes on to ask', async () => {
    const gone: string[] = [];
    const create = (request: CreateRequest, signal: AbortSignal): Promise<CreateAnswer> => {
      signal.addEventListener('abort', () => gone.push(request.containerId));
      return Promise.resolve(RESTORE);
    };
    await listen({ create, restored: () => Promise.resolve({ action: 'ok' }) });
    expect(await client()).toBe(0);
    expect(gone).toEqual([]);
    const socketPath = join(fixture.run, 'shim.sock');
    const dying = request({ socketPath, path: '/create', method: 'POST', agent: false }, (response) => {
      response.once('data', () => dying.destroy());
    });
    dying.on('error', () => undefined);
    dying.end(JSON.stringify({ containerId: 'c9' }));
    await expect.poll(() => gone).toEqual(['c9']);
  });

  it('deletes a restored container when the agent dies before it has released it', async () => {
    const agent = await listen({
      create: () => Promise.resolve(RESTORE),
      restored: () => {
        setImmediate(() => void agent.close());
        return new Promise(() => undefined);
      },
    });
    expect(await client(300)).toBe(1);
    expect(fixture.calls().at(-1)).toBe(`${globals()} delete --force c1`);
    expect(reported()).toContain('the agent does not answer');
  });
});

describe('agent shim for a start', () => {
  const start = (): string[] => ['--root', '/r', '--log', fixture.log, '--log-format', 'json', 'start', 'c1'];
  const run = (env: NodeJS.ProcessEnv = {}, patienceMs = 2_000): Promise<number> =>
    runShimClient(
      start(),
      { run: fixture.run },
      {
        env: {
          SWARMCUT_RUNC: fixture.runc,
          SWARMCUT_DATA_ROOT: fixture.dataRoot,
          SWARMCUT_SERVICE: 'bank_a',
          ...env,
        },
        patienceMs,
      },
    );

  it('runs runc only when the container has its sidecar, and returns runc’s code', async () => {
    const asked: StartRequest[] = [];
    let calls: string[] | undefined;
    await listen({
      start: (request) => {
        asked.push(request);
        calls = fixture.calls();
        return Promise.resolve();
      },
    });
    fixture.put('code.start', '4');
    expect(await run()).toBe(4);
    expect(asked).toEqual([{ containerId: 'c1', service: 'bank_a', labels: LABELS }]);
    expect(calls).toEqual([]);
    expect(fixture.calls()).toEqual([start().join(' ')]);
  });

  it('starts the container without a sidecar when the agent fails, and says so, but not as an error', async () => {
    await listen({ start: () => Promise.reject(new Error('no key')) });
    expect(await run()).toBe(0);
    expect(fixture.calls()).toEqual([start().join(' ')]);
    const line = readFileSync(fixture.log, 'utf8').trimEnd();
    expect(JSON.parse(line)).toMatchObject({
      level: 'warning',
      msg: 'swarmcut: container c1 starts without a sidecar: no key',
    });
  });

  it('starts it when there is no agent, when it is not the agent’s kind, and when the agent takes too long', async () => {
    expect(await run({}, 0)).toBe(0);
    fixture.put('run/shim.sock', '');
    expect(await run({}, 0)).toBe(0);
    fixture.container('c1', {});
    await listen({ start: () => new Promise(() => undefined) });
    const argv = start();
    const options = { env: { SWARMCUT_RUNC: fixture.runc, SWARMCUT_DATA_ROOT: fixture.dataRoot }, timeoutMs: 50 };
    expect(await runStart(argv, { containerId: 'c1', log: fixture.log }, { run: fixture.run }, options)).toBe(0);
    expect(fixture.calls()).toHaveLength(3);
  });

  it('waits longer for an agent that says that it is at it', async () => {
    let ready = false;
    await listen({
      start: async () => {
        await pause(4_000);
        ready = true;
      },
    });
    fixture.container('c1', {});
    const options = { env: { SWARMCUT_RUNC: fixture.runc, SWARMCUT_DATA_ROOT: fixture.dataRoot }, timeoutMs: 2_500 };
    const command = { containerId: 'c1', log: fixture.log };
    expect(await runStart(start(), command, { run: fixture.run }, options)).toBe(0);
    expect(ready).toBe(true);
    expect(existsSync(fixture.log)).toBe(false);
  }, 30_000);
});

describe('parseCreate', () => {
  it('takes options in both forms, and flags', () => {
    expect(
      parseCreate(['--root=/r', '--systemd-cgroup', 'create', '--no-pivot', '-b', '/b', '--pid-file=/p', 'c1'], '/cwd'),
    ).toEqual({
      globals: ['--root=/r', '--systemd-cgroup'],
      options: ['--no-pivot', '-b', '/b', '--pid-file=/p'],
      containerId: 'c1',
      bundle: '/b',
      pidFile: '/p',
      consoleSocket: undefined,
      log: undefined,
    });
    expect(parseCreate(['create', 'c1'], '/cwd').bundle).toBe('/cwd');
  });

  it('refuses everything else', () => {
    expect(() => parseCreate(['start', 'c1'], '/')).toThrow(/only `create`/);
    expect(() => parseCreate(['create', '--bundle', '/b'], '/')).toThrow(/no container id/);
  });
});
