import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Expectations } from '../../../../agent/runtime/shim/expectations.ts';
import { Standstills } from '../../../../agent/runtime/shim/standstills.ts';
import { shimFixture } from './fixture.ts';
import type { ShimFixture } from './fixture.ts';

/** shim.sh and containers that stand still for an operation that is not decided. */

const SHIM = fileURLToPath(new URL('../../../../agent/runtime/shim/shim.sh', import.meta.url));
const STILL = { containerId: 'c1', endsInMs: 3_600_000, decided: false };

let fixture: ShimFixture;
let standstills: Standstills;
beforeEach(() => {
  fixture = shimFixture();
  standstills = new Standstills({ run: fixture.run });
});
afterEach(() => fixture.remove());

const health = (args: string[], unhealthy = false) => ({ args, unhealthy, timeoutMs: 0, verdictMs: 0 });
const PROBE = ['/bin/sh', '-c', 'test "$A" <1 && echo é>/tmp/it\'s'];
const KILL = ['--root=/r', 'kill', 'c1', '15'];

/** As containerd has it written, in one line: its encoder is Go's. */
function processFile(args: readonly string[]): string {
  const process = { user: { uid: 0, gid: 0 }, args, env: ['A="args":["x"]'], cwd: '/' };
  const text = JSON.stringify(process).replaceAll(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
  fixture.put('process.json', `${text}\n`);
  return join(fixture.base, 'process.json');
}

function exec(args: readonly string[], ...options: string[]): string[] {
  return ['--root', '/r', 'exec', '--process', processFile(args), ...options, 'c1'];
}

const detached = (): string[] => ['--detach', '--pid-file', join(fixture.base, 'exec.pid')];

/** Settings by which nothing waits for longer than the test says. */
function patience(seconds: { kill?: number; probe?: number }): void {
  const { kill = 100, probe = 100 } = seconds;
  fixture.put('run/shim.conf', `kill_patience=${kill}\nprobe_patience=${probe}\n`);
}

interface Call {
  readonly ended: Promise<number | null>;
  readonly stderr: () => string;
  /** Resolves when the shim has begun to wait: it starts `sleep` for nothing else. */
  readonly waits: () => Promise<void>;
}

function call(args: readonly string[]): Call {
  // A `sleep` that leaves a trace.
  fixture.put('bin/sleep', `#!/bin/sh\necho >>'${fixture.base}/slept'\nexec /bin/sleep "$@"\n`);
  const child = spawn('/bin/sh', ['-c', `chmod +x '${fixture.base}/bin/sleep'; exec "$@"`, 'sh', SHIM, ...args], {
    env: { PATH: `${fixture.base}/bin:/usr/bin:/bin`, SWARMCUT_RUN: fixture.run, SWARMCUT_RUNC: fixture.runc },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => void child.once('exit', (code) => resolve(code)));
  const waits = async (): Promise<void> => {
    await Promise.race([ended, vi.waitUntil(() => fixture.exists('slept'), { timeout: 30_000, interval: 5 })]);
    expect(child.exitCode, 'it did not wait').toBe(null);
  };
  return { ended, waits, stderr: () => stderr };
}

describe('a kill of a container that stands still', () => {
  it.each([
    ['goes on', ['--root=/r kill c1 15']],
    ['has moved', ['--root=/r kill c1 KILL', '--root=/r resume c1']],
  ])('waits for the decision: the container %s', async (decision, calls) => {
    patience({});
    const expectations = new Expectations({ run: fixture.run });
    standstills.mark({ ...STILL, health: undefined });
    // Its successor is about to be released, but it may still come to nothing.
    expectations.markMoved('c1');
    const kill = call(KILL);
    await kill.waits();
    expect(fixture.calls()).toEqual([]);
    if (decision === 'goes on') expectations.unmarkMoved('c1');
    standstills.unmark('c1');
    expect([await kill.ended, kill.stderr()]).toEqual([0, '']);
    expect(fixture.calls()).toEqual(calls);
  });

  it('waits for no longer than the engine takes well', async () => {
    patience({ kill: 0 });
    standstills.mark({ ...STILL, health: undefined });
    expect(await call(KILL).ended).toBe(0);
    expect(fixture.calls()).toEqual(['--root=/r kill c1 15']);
  });

  it('waits for no longer than an agent that has died would have kept it', async () => {
    patience({});
    standstills.mark({ ...STILL, endsInMs: 1, health: undefined });
    expect(await call(KILL).ended).toBe(0);
    const earlier = new Standstills({ run: fixture.run }, () => 1);
    earlier.mark({ ...STILL, endsInMs: 1, health: undefined });
    expect(await call(KILL).ended).toBe(0);
    expect(fixture.calls()).toHaveLength(2);
  });

  it('does not wait once it is decided', async () => {
    patience({});
    standstills.mark({ ...STILL, decided: true, health: undefined });
    expect(await call(KILL).ended).toBe(0);
    expect(fixture.exists('slept')).toBe(false);
  });

  it('waits while it only runs for an operation that is not decided, and until its mark is taken away', async () => {
    patience({});
    standstills.mark({ ...STILL, runs: true, health: undefined });
    const kill = call(KILL);
    await kill.waits();
    standstills.unmarkRunning('c1');
    expect([await kill.ended, kill.stderr()]).toEqual([0, '']);
    expect(fixture.calls()).toEqual(['--root=/r kill c1 15']);
  });

  it('waits on when the mark of one that only runs is taken away, and it stands still', async () => {
    patience({});
    standstills.mark({ ...STILL, runs: true, health: undefined });
    standstills.mark({ ...STILL, health: undefined });
    standstills.unmarkRunning('c1');
    const kill = call(KILL);
    await kill.waits();
    standstills.unmark('c1');
    expect(await kill.ended).toBe(0);
  });

  it('does not wait for another one, nor for a mark that nobody understands', async () => {
    patience({});
    standstills.mark({ ...STILL, containerId: 'c2', health: undefined });
    expect(await call(KILL).ended).toBe(0);
    writeFileSync(join(fixture.run, 'still/c1'), '');
    const kill = call(KILL);
    expect([await kill.ended, kill.stderr()]).toEqual([0, '']);
    expect(fixture.exists('slept')).toBe(false);
  });
});

describe('an exec in a container that stands still', () => {
  it('does not wait when the container runs, and only its stops wait', async () => {
    patience({});
    standstills.mark({ ...STILL, runs: true, health: health(PROBE) });
    const args = exec(PROBE, ...detached());
    const probe = call(args);
    expect([await probe.ended, probe.stderr()]).toEqual([0, '']);
    expect(fixture.exists('slept')).toBe(false);
    expect(fixture.calls()).toEqual([args.join(' ')]);
  });

  it('waits, and is runc’s when the container goes on', async () => {
    patience({});
    standstills.mark({ ...STILL, health: health(PROBE) });
    const args = exec(PROBE, ...detached());
    const probe = call(args);
    await probe.waits();
    expect(fixture.calls()).toEqual([]);
    standstills.unmark('c1');
    expect([await probe.ended, probe.stderr()]).toEqual([0, '']);
    expect(fixture.calls()).toEqual([args.join(' ')]);
    expect(fixture.exists('exec.pid')).toBe(false);
  });

  it.each([
    ['it has waited for long', false, 0],
    ['it has waited for long, and the container was unhealthy before', true, 1],
    ['the container has moved', false, 0],
  ])('gets the last result again if it is a probe, and %s', async (why, unhealthy, code) => {
    const decided = why === 'the container has moved';
    patience(decided ? {} : { probe: 0 });
    standstills.mark({ ...STILL, decided, health: health(PROBE, unhealthy) });
    // Inherits the process that stands for the probe, as containerd-shim does, and says how it ended.
    const reaper = `
      import ctypes, os, subprocess, sys
      ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
      code = subprocess.call(sys.argv[2:])
      pid = int(open(sys.argv[1]).read())
      print(code, os.waitpid(pid, 0)[1] >> 8)
    `.replaceAll(/^ {6}/gm, '');
    const child = spawn(
      'python3',
      ['-c', reaper, join(fixture.base, 'exec.pid'), SHIM, ...exec(PROBE, ...detached())],
      { env: { PATH: '/usr/bin:/bin', SWARMCUT_RUN: fixture.run, SWARMCUT_RUNC: fixture.runc } },
    );
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await new Promise((resolve) => child.once('close', resolve));
    expect(said).toBe(`0 ${code}\n`);
    expect(fixture.calls()).toEqual([]);
  });

  it.each<[string, readonly string[], (options: string[]) => string[]]>([
    ['another command', ['/bin/sh', '-c', 'test'], (options) => options],
    ['more arguments', [...PROBE, 'x'], (options) => options],
    ['in the foreground', PROBE, (options) => options.slice(1)],
    ['with a terminal', PROBE, (options) => ['--console-socket', '/c', ...options]],
  ])('gets runc’s own answer in the end if it is somebody’s: %s', async (_, command, change) => {
    patience({ probe: 0 });
    standstills.mark({ ...STILL, health: health(PROBE) });
    fixture.put('code.exec', '255');
    const args = exec(command, ...change(detached()));
    expect(await call(args).ended).toBe(255);
    expect(fixture.calls()).toEqual([args.join(' ')]);
  });

  it('gets runc’s own answer, too, if the engine checks nothing', async () => {
    patience({ probe: 0 });
    standstills.mark({ ...STILL, health: undefined });
    await call(exec(PROBE, ...detached())).ended;
    expect(fixture.calls()).toHaveLength(1);
  });
});

it('forgets the mark of a container that is deleted', async () => {
  standstills.mark({ ...STILL, health: undefined });
  expect(await call(['delete', 'c1']).ended).toBe(0);
  expect(fixture.exists('run/still/c1')).toBe(false);
});

describe('the marks', () => {
  it('say until when by the uptime, how the last probe ended, and what one looks like', () => {
    const marks = new Standstills({ run: fixture.run }, () => 100.5);
    const read = (id: string): string => readFileSync(join(fixture.run, 'still', id), 'utf8');
    marks.mark({ ...STILL, endsInMs: 1_200, health: undefined });
    expect(read('c1')).toBe('102 0\n\n');
    marks.mark({ ...STILL, endsInMs: 10_000, health: health(['a<b', '&\u2028"'], true), decided: true });
    expect(read('c1')).toBe('111 1 decided\n"args":["a\\u003cb","\\u0026\\u2028\\""]\n');
  });

  it('are gone, and none is made, while the engine is away', () => {
    const mark = (id: string): void => standstills.mark({ ...STILL, containerId: id, health: undefined });
    mark('c1');
    standstills.engineIs(false);
    mark('c2');
    expect([fixture.exists('run/still/c1'), fixture.exists('run/still/c2')]).toEqual([false, false]);
    standstills.engineIs(true);
    mark('c3');
    expect(fixture.exists('run/still/c3')).toBe(true);
    rmSync(join(fixture.run, 'still'), { recursive: true });
    standstills.unmark('c3');
    standstills.clear();
  });

  it('go with containers that an engine has ended without us, when it was killed', () => {
    for (const containerId of ['c1', 'c2'])
      standstills.mark({ ...STILL, containerId, decided: true, health: undefined });
    standstills.prune(new Set(['c2']));
    expect(['c1', 'c2'].map((id) => fixture.exists(`run/still/${id}`))).toEqual([false, true]);
  });

  it('stay, when an agent starts, for as long as what has moved is not ended', () => {
    let now = 0;
    const marks = new Standstills({ run: fixture.run }, () => now);
    marks.mark({ ...STILL, health: undefined });
    marks.mark({ ...STILL, containerId: 'c2', decided: true, health: undefined });
    marks.clear();
    const left = (): boolean[] => ['c1', 'c2'].map((id) => fixture.exists(`run/still/${id}`));
    expect(left()).toEqual([false, true]);
    now = 3_600;
    marks.clear();
    expect(left()).toEqual([false, false]);
  });
});
