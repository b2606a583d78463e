import { expect, test } from 'vitest';
import { mergeHosts } from '../../../agent/surroundings/engine-files.ts';

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
  ['the file as it was, if nothing is known', '10.0.1.5\told\n', '', '10.0.1.5\told\n'],
  [
    'no other host that begins alike',
    '10.0.1.6\tolder\n10.0.1.5\told\n',
    '10.0.1.9\tnew\n',
    '10.0.1.6\tolder\n10.0.1.9\told\n',
  ],
])('a restored /etc/hosts has %s', (_what, saved, fresh, expected) => {
  expect(mergeHosts(LOCAL + saved, 'old', LOCAL + fresh, 'new')).toBe(LOCAL + expected);
});
