import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Expectations } from '../../../../agent/runtime/shim/expectations.ts';
import { shimFixture } from './fixture.ts';
import type { ShimFixture } from './fixture.ts';

const SHIM = fileURLToPath(new URL('../../../../agent/runtime/shim/shim.sh', import.meta.url));
const SERVICE_LABEL = 'com.docker.swarm.service.name';

let fixture: ShimFixture;
beforeEach(() => {
  fixture = shimFixture();
});
afterEach(() => fixture.remove());

/** Runs the front. By default no command can be found on the way: the fast path may start nothing. */
function shim(
  args: string[],
  env: Record<string, string> = {},
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(SHIM, args, {
    encoding: 'utf8',
    env: { PATH: '/nonexistent', SWARMCUT_RUN: fixture.run, SWARMCUT_RUNC: fixture.runc, ...env },
  });
}

/** As the engine calls runc, in both forms of options. */
const engine = (command: string[]): string[][] => [
  ['--root', '/r/moby', '--log', fixture.log, '--log-format', 'json', ...command],
  ['--root=/r/moby', `--log=${fixture.log}`, '--log-format=json', '--systemd-cgroup', ...command],
];

function open(): Expectations {
  const expectations = new Expectations({ run: fixture.run });
  // A "node" that says how it was called.
  fixture.put('node', '#!/bin/sh\nfor a do echo "$a"; done\necho "$SWARMCUT_RUN $SWARMCUT_RUNC $SWARMCUT_SERVICE"\n');
  chmodSync(join(fixture.base, 'node'), 0o755);
  fixture.put("it's a/main.js", '');
  expectations.open({
    runc: fixture.runc,
    node: join(fixture.base, 'node'),
    main: join(fixture.base, "it's a/main.js"),
    dataRoot: fixture.dataRoot,
  });
  return expectations;
}

describe('shim.sh', () => {
  it('is executable, and dash takes it', () => {
    expect(statSync(SHIM).mode & 0o111).toBe(0o111);
    execFileSync('dash', ['-n', SHIM]);
  });

  it.each([
    ['--version'],
    ['create', '--bundle', '/b', '--pid-file', '/p f', '--console-socket', '/c', 'c1'],
    ['start', 'c1'],
    ['state', 'c1'],
    ['kill', '--all', 'c1', '9'],
    ['delete', '--force', 'c1'],
    ['exec', '--process', '/p', 'c1'],
    ['events', '--stats', 'c1'],
  ])('becomes runc with the same arguments: %s %s', (...command) => {
    for (const args of engine(command)) {
      expect(shim(args)).toMatchObject({ status: 0, stderr: '' });
      const expected = args.map((each) => (each.includes(' ') ? `[${each}]` : each)).join(' ');
      expect(fixture.calls().at(-1)).toBe(expected);
    }
  });

  it('gives runc’s exit code back', () => {
    fixture.put('code.state', '7');
    expect(shim(['state', 'c1']).status).toBe(7);
  });

  it('starts nothing for services that nobody expects', () => {
    open().add('r1', 'other', ['other_svc']);
    fixture.container('c1', { [SERVICE_LABEL]: 'bank_a' });
    for (const args of engine(['create', '--bundle', '/b', 'c1'])) {
      expect(shim(args, { PATH: '/usr/bin:/bin' }).status).toBe(0);
    }
    expect(fixture.calls()).toHaveLength(2);
  });

  it('leaves containers that are no Swarm tasks alone', () => {
    open().add('r1', 'bank', ['bank_a']);
    fixture.container('c1', { fake: `"${SERVICE_LABEL}":"bank_a"` });
    shim(['create', 'c1'], { PATH: '/usr/bin:/bin' });
    shim(['create', 'unknown'], { PATH: '/usr/bin:/bin' });
    expect(fixture.calls()).toEqual(['create c1', 'create unknown']);
  });

  it('asks the agent about containers of an expected service', () => {
    open().add('r1', 'bank', ['bank_a']);
    fixture.container('c1', { a: 'b', [SERVICE_LABEL]: 'bank_a', z: '"' });
    for (const args of engine(['create', '--bundle=/b', '--pid-file', '/p f', 'c1'])) {
      const { stdout, status } = shim(args, { PATH: '' });
      expect(status).toBe(0);
      expect(stdout.trimEnd().split('\n')).toEqual([
        join(fixture.base, "it's a/main.js"),
        'shim',
        ...args,
        `${fixture.run} ${fixture.runc} bank_a`,
      ]);
    }
    expect(fixture.calls()).toEqual([]);
  });

  it('fails clearly, rather than starting it empty, when the agent was not set up', () => {
    fixture.put('run/expect/bank_a', 'r1');
    fixture.put('run/shim.conf', `data_root='${fixture.dataRoot}'\n`);
    fixture.container('c1', { [SERVICE_LABEL]: 'bank_a' });
    for (const args of engine(['create', '--bundle', '/b', 'c1'])) {
      const { status, stderr } = shim(args, { PATH: '/usr/bin:/bin' });
      expect(status).toBe(1);
      expect(stderr).toContain('service bank_a is to be restored');
      const last = readFileSync(fixture.log, 'utf8').trimEnd().split('\n').at(-1) ?? '';
      expect(JSON.parse(last)).toMatchObject({ level: 'error', msg: stderr.trimEnd() });
    }
    expect(fixture.calls()).toEqual([]);
  });

  it('does not start what is restored already', () => {
    open().markRestored('c1');
    for (const args of engine(['start', 'c1'])) expect(shim(args)).toMatchObject({ status: 0 });
    expect(fixture.calls()).toEqual([]);
    shim(['start', 'c2']);
    expect(fixture.calls()).toEqual(['start c2']);
  });

  describe('a start', () => {
    const PATH = '/usr/bin:/bin';
    const asks = (id: string): boolean => {
      const before = fixture.calls().length;
      const { stdout, status } = shim(['--root', '/r', 'start', id], { PATH });
      expect(status).toBe(0);
      const asked = stdout.trimEnd().split('\n').slice(1, -1);
      if (asked.length > 0) expect(asked).toEqual(['shim', '--root', '/r', 'start', id]);
      expect(fixture.calls().length - before).toBe(asked.length > 0 ? 0 : 1);
      return asked.length > 0;
    };
    beforeEach(() => {
      open();
      fixture.put('run/sidecar/bank_b', '');
      fixture.container('c1', { [SERVICE_LABEL]: 'bank_a', 'swarmcut.algorithm': 'chandy-lamport' });
      fixture.container('c2', { [SERVICE_LABEL]: 'bank_b' });
      fixture.container('c3', { [SERVICE_LABEL]: 'bank_a', 'swarmcut.algorithm': 'lai-yang' });
      fixture.container('c4', { 'swarmcut.algorithm': 'chandy-lamport' });
      fixture.container('c5', { [SERVICE_LABEL]: 'bank_a', other: '"swarmcut.algorithm":"chandy-lamport"' });
      fixture.container('c6', { 'swarmcut.algorithm': '', [SERVICE_LABEL]: 'bank_a' });
    });

    it('goes through the agent where the containers’ label or a marker of their service says so, and nowhere else', () => {
      expect(['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'unknown'].filter(asks)).toEqual(['c1', 'c2']);
    });

    it('is runc’s own when the container was restored, and when the agent was never set up', () => {
      new Expectations({ run: fixture.run }).markRestored('c1');
      expect(shim(['start', 'c1'], { PATH }).status).toBe(0);
      expect(fixture.calls()).toEqual([]);
      fixture.put('run/shim.conf', '');
      expect(asks('c2')).toBe(false);
    });
  });

  it('ends a moved container at once, whatever the signal', () => {
    open().markMoved('c1');
    const [args = []] = engine(['kill', 'c1', '15']);
    expect(shim(args).status).toBe(0);
    const globals = `--root /r/moby --log ${fixture.log} --log-format json`;
    expect(fixture.calls()).toEqual([`${globals} kill c1 KILL`, `${globals} resume c1`]);
    fixture.put('code.KILL', '1');
    expect(shim(['--root=/r', 'kill', '--all', 'c1', '15']).status).toBe(1);
    expect(fixture.calls().slice(2)).toEqual(['--root=/r kill c1 KILL', '--root=/r resume c1']);
  });

  it('forgets a container that is deleted', () => {
    const expectations = open();
    expectations.markMoved('c1');
    expectations.markRestored('c1');
    expectations.markRestored('c2');
    const network = join(fixture.run, 'network');
    mkdirSync(network);
    for (const id of ['c1', 'c2', 'c3']) writeFileSync(join(network, `${id}.json`), '{}');
    shim(['--root', '/r', 'delete', '--force', 'c1'], { PATH: '' });
    // Nothing but what was remembered of its connections.
    shim(['--root', '/r', 'delete', 'c3'], { PATH: '' });
    // Its restore has failed.
    mkdirSync(join(fixture.run, 'at-start', 'c4'), { recursive: true });
    shim(['--root', '/r', 'delete', 'c4'], { PATH: '' });
    expect(readdirSync(join(fixture.run, 'at-start'))).toEqual([]);
    // Its dead man's switch has fired.
    mkdirSync(join(fixture.run, 'deadman'));
    for (const id of ['c5', 'c6']) writeFileSync(join(fixture.run, 'deadman', `${id}.log`), 'fired');
    shim(['--root', '/r', 'delete', 'c5'], { PATH: '' });
    expect(readdirSync(join(fixture.run, 'deadman'))).toEqual(['c6.log']);
    expect(readdirSync(network)).toEqual(['c2.json']);
    expect([expectations.isMoved('c1'), expectations.isRestored('c1'), expectations.isRestored('c2')]).toEqual([
      false,
      false,
      true,
    ]);
    const others = ['c3', 'c4', 'c5'].map((id) => `--root /r delete ${id}`);
    expect(fixture.calls()).toEqual(['--root /r delete --force c1', ...others]);
  });

  it('finds its run folder in a file beside it', () => {
    symlinkSync(SHIM, join(fixture.base, 'shim'));
    fixture.put('shim.run', `${fixture.run}\n`);
    open().markRestored('c1');
    const { status } = spawnSync(join(fixture.base, 'shim'), ['start', 'c1'], {
      env: { SWARMCUT_RUNC: fixture.runc },
    });
    expect(status).toBe(0);
    expect(fixture.calls()).toEqual([]);
  });
});
