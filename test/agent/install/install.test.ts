import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  chmodSync,
  copyFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unifiedDiff } from '../../../agent/install/diff.ts';
import { install, uninstall } from '../../../agent/install/install.ts';
import type { InstallOptions } from '../../../agent/install/install.ts';
import { unitText } from '../../../agent/install/unit.ts';

let base: string;
let daemonJson: string;
let unit: string;
let lines: string[];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-install-'));
  daemonJson = join(base, 'etc/docker/daemon.json');
  unit = join(base, 'units/swarmcut-agent.service');
  lines = [];
  mkdirSync(join(base, 'package/agent/runtime/shim'), { recursive: true });
  writeFileSync(join(base, 'package/agent/runtime/shim/shim.sh'), '#!/bin/sh\n', { mode: 0o644 });
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function options(changes: Partial<InstallOptions> = {}): InstallOptions {
  return {
    dryRun: false,
    service: true,
    daemonJson,
    runOptions: [],
    print: (line) => lines.push(line),
    system: {
      unitFolder: join(base, 'units'),
      systemdMark: join(base, 'no-systemd'),
      enginePidFiles: [join(base, 'docker.pid')],
      packageRoot: join(base, 'package'),
    },
    ...changes,
  };
}

function write(text: string, mode = 0o644): void {
  mkdirSync(join(base, 'etc/docker'), { recursive: true });
  writeFileSync(daemonJson, text, { mode });
}
const read = (path = daemonJson): string => readFileSync(path, 'utf8');
const shim = (): string => join(base, 'package/agent/runtime/shim/shim.sh');

describe('install', () => {
  it('makes a daemon.json where there was none, and takes it away again', async () => {
    await install(options());
    expect(JSON.parse(read())).toEqual({ 'default-runtime': 'swarmcut', runtimes: { swarmcut: { path: shim() } } });
    expect(statSync(shim()).mode & 0o777).toBe(0o755);
    expect(read(unit)).toContain(`${join(base, 'package/dist/agent/main.js')} run\n`);
    await uninstall(options());
    expect([existsSync(daemonJson), existsSync(unit)]).toEqual([false, false]);
  });

  it('keeps everything else, and brings the file back to the letter', async () => {
    const before = '{ "log-level":"warn",\n"runtimes": {"crun": {"path": "/crun"}}, "default-runtime": "runc"}';
    write(before, 0o640);
    await install(options());
    await install(options());
    expect(JSON.parse(read())).toEqual({
      'log-level': 'warn',
      runtimes: { crun: { path: '/crun' }, swarmcut: { path: shim() } },
      'default-runtime': 'swarmcut',
    });
    expect(statSync(daemonJson).mode & 0o777).toBe(0o640);
    expect(read(`${daemonJson}.swarmcut-backup`)).toBe(before);
    await uninstall(options());
    expect(read()).toBe(before);
    expect(existsSync(`${daemonJson}.swarmcut-backup`)).toBe(false);
  });

  it('keeps what was changed after the installation', async () => {
    write('{\n    "default-runtime": "runc"\n}\n');
    await install(options());
    write(read().replace('{', '{\n    "debug": true,'));
    await uninstall(options());
    expect(read()).toBe('{\n    "debug": true,\n    "default-runtime": "runc"\n}\n');
  });

  it('only shows a diff when told so', async () => {
    write('{\n  "debug": true\n}\n');
    await install(options({ dryRun: true }));
    expect(read()).toBe('{\n  "debug": true\n}\n');
    expect(existsSync(unit)).toBe(false);
    expect(lines[0]).toBe(
      [
        `--- ${daemonJson}`,
        `+++ ${daemonJson}`,
        '@@ -1,3 +1,9 @@',
        ' {',
        '-  "debug": true',
        '+  "debug": true,',
        '+  "default-runtime": "swarmcut",',
        '+  "runtimes": {',
        '+    "swarmcut": {',
        `+      "path": "${shim()}"`,
        '+    }',
        '+  }',
        ' }',
      ].join('\n'),
    );
    expect(lines[1]).toContain('+ExecStart=');
  });

  it('leaves systemd alone when told so', async () => {
    await install(options({ service: false }));
    expect(existsSync(unit)).toBe(false);
    expect(existsSync(daemonJson)).toBe(true);
  });

  it.each(['{"default-runtime": "nvidia"}', '{"debug": tru', '[]'])(
    'changes nothing when it meets %s',
    async (text) => {
      write(text);
      await expect(install(options())).rejects.toMatchObject({ code: 'precondition', where: { file: daemonJson } });
      expect(read()).toBe(text);
      expect(existsSync(unit)).toBe(false);
    },
  );

  it('tells a running engine, and nobody else who has its old pid', async () => {
    // A process that is called dockerd and says when it was told.
    copyFileSync('/bin/sleep', join(base, 'dockerd'));
    chmodSync(join(base, 'dockerd'), 0o755);
    const engine = spawn(join(base, 'dockerd'), ['60'], { stdio: 'ignore' });
    const ended = once(engine, 'exit');
    await once(engine, 'spawn');
    writeFileSync(join(base, 'docker.pid'), `${engine.pid}\n`);
    await install(options({ service: false }));
    expect((await ended)[1]).toBe('SIGHUP');
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(other, 'spawn');
    writeFileSync(join(base, 'docker.pid'), `${other.pid}`);
    await uninstall(options({ service: false }));
    expect(lines.at(-1)).toContain('not running');
    const end = once(other, 'exit');
    other.kill('SIGTERM');
    expect((await end)[1]).toBe('SIGTERM');
  });
});

describe('the unit', () => {
  it('quotes options as systemd wants them, and lets dead man’s switches live', () => {
    const text = unitText({
      node: '/usr/bin/node',
      main: '/opt/my app/main.js',
      runOptions: ['--node', '50%', 'a"$b'],
    });
    expect(text).toContain('ExecStart=/usr/bin/node "/opt/my app/main.js" run --node 50%% "a\\"$$b"\n');
    expect(text).toContain('\nKillMode=process\n');
  });
});

describe('unifiedDiff', () => {
  it('shows changes with three lines around them', () => {
    const before = Array.from({ length: 20 }, (_each, index) => `line ${index + 1}`);
    const after = before.toSpliced(9, 1, 'changed').toSpliced(0, 1);
    expect(unifiedDiff('f', before.join('\n'), after.join('\n')).split('\n')).toEqual([
      '--- f',
      '+++ f',
      '@@ -1,4 +1,3 @@',
      '-line 1',
      ' line 2',
      ' line 3',
      ' line 4',
      '@@ -7,7 +6,7 @@',
      ' line 7',
      ' line 8',
      ' line 9',
      '-line 10',
      '+changed',
      ' line 11',
      ' line 12',
      ' line 13',
    ]);
    expect(unifiedDiff('f', 'a\n', 'a\n')).toBe('');
    expect(unifiedDiff('f', undefined, 'a\n')).toBe('--- /dev/null\n+++ f\n@@ -0,0 +1,1 @@\n+a');
    expect(unifiedDiff('f', 'a\n', undefined)).toBe('--- f\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a');
  });
});
