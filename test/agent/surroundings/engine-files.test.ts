import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { startScript } from '../../../agent/surroundings/engine-files.ts';

const LOCAL = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n';

test.each<[string, string, string, string]>([
  ['the new address', '10.0.1.5\told\n', '10.0.1.9\tnew\n', '10.0.1.9\told\n'],
  [
    'what else was in it',
    '10.0.0.1\tdb extra\n10.0.1.5\told\n',
    '10.0.1.9\tnew\n',
    '10.0.0.1\tdb extra\n10.0.1.9\told\n',
  ],
  ['a full name', '10.0.1.5\told.example old\n', '10.0.1.9\tnew.example new\n', '10.0.1.9\told.example old\n'],
  [
    'each network',
    '10.0.1.5\told\n10.0.2.5\told\n',
    '10.0.1.9\tnew\n10.0.2.9\tnew\n',
    '10.0.1.9\told\n10.0.2.9\told\n',
  ],
  ['fewer networks', '10.0.1.5\told\n10.0.2.5\told\n', '10.0.1.9\tnew\n', '10.0.1.9\told\n'],
  ['more networks', '10.0.1.5\told\n', '10.0.1.9\tnew\n10.0.2.9\tnew\n', '10.0.1.9\told\n10.0.2.9\told\n'],
  ['both families', '10.0.1.5\told\nfd00::5\told\n', 'fd00::9\tnew\n10.0.1.9\tnew\n', '10.0.1.9\told\nfd00::9\told\n'],
  ['nothing of ours, if no new address is known', '10.0.1.5\told\n', '', ''],
  [
    'no other host that begins alike',
    '10.0.1.6\tolder\n10.0.1.5\told\n',
    '10.0.1.9\tnew\n',
    '10.0.1.6\tolder\n10.0.1.9\told\n',
  ],
])('a restored /etc/hosts has %s', (_what, saved, fresh, expected) => {
  const base = mkdtempSync(join(tmpdir(), "engine's-"));
  const dir = join(base, 'at-start');
  mkdirSync(dir);
  writeFileSync(join(base, 'hosts'), LOCAL + fresh);
  const contents = { hosts: LOCAL + saved, hostname: 'old\n', 'resolv.conf': 'nameserver 127.0.0.11\n' };
  const files = Object.entries(contents).map(([name, text]) => {
    writeFileSync(join(dir, name), text);
    return { path: `/etc/${name}`, file: join(base, name), contents: Buffer.from(text) };
  });
  execFileSync('dash', ['-c', startScript(files, dir, 'new')]);
  expect(readFileSync(join(base, 'hosts'), 'utf8')).toBe(LOCAL + (expected === '' ? fresh : expected));
  expect(readFileSync(join(base, 'hostname'), 'utf8')).toBe('old\n');
  expect(existsSync(dir)).toBe(false);
  rmSync(base, { recursive: true });
});

test('none of them is empty for the running program, not even while it is written; nothing of what was in it before is left', () => {
  const base = mkdtempSync(join(tmpdir(), 'engine-'));
  const [dir, bin] = [join(base, 'at-start'), join(base, 'bin')];
  [dir, bin].forEach((each) => mkdirSync(each));
  const contents = { hosts: `${LOCAL}10.0.1.5\told\n`, hostname: 'old\n', 'resolv.conf': 'nameserver 127.0.0.11\n' };
  const files = Object.entries(contents).map(([name, text]) => {
    writeFileSync(join(dir, name), text);
    writeFileSync(join(base, name), `${LOCAL}10.0.1.9\tnew\n${'# of the engine\n'.repeat(9)}`);
    return { path: `/etc/${name}`, file: join(base, name), contents: Buffer.from(text) };
  });
  // Stands for a node without a free processor: looks at the files when the shell has opened one for it, before anything is written.
  const empty = join(base, 'empty');
  const looks = files.map(({ file }) => `[ -s '${file}' ] || echo '${file}' >>'${empty}'`);
  writeFileSync(join(bin, 'cat'), ['#!/bin/sh', ...looks, 'exec /bin/cat "$@"', ''].join('\n'));
  chmodSync(join(bin, 'cat'), 0o755);
  execFileSync('dash', ['-c', startScript(files, dir, 'new')], {
    env: { PATH: `${bin}:${String(process.env.PATH)}` },
  });
  expect(existsSync(empty)).toBe(false);
  const after = Object.fromEntries(files.map(({ file }) => [basename(file), readFileSync(file, 'utf8')]));
  expect(after).toEqual({ ...contents, hosts: `${LOCAL}10.0.1.9\told\n` });
  rmSync(base, { recursive: true });
});
