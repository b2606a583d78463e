import { describe, expect, it } from 'vitest';
import { judge, neededCriu, type PreflightCheck } from '../../../agent/preflight/checks.ts';
import type { NodeFacts } from '../../../agent/preflight/facts.ts';
import { isOlder } from '../../../agent/preflight/version.ts';

const GOOD: NodeFacts = {
  isRoot: true,
  kernel: '6.18.44-fc',
  criu: '4.2.1',
  criuCheck: { ok: true, text: 'Looks good.' },
  memDirtyTrack: true,
  runc: '1.1.15+ds1',
  engine: '26.1.5+dfsg1',
  engineProblem: '',
  storageDriver: 'overlay2',
  swarm: 'active',
  shimInstalled: true,
  runtime: 'swarmcut',
  cgroupVersion: 1,
  nft: { ok: true, text: '' },
  iproute: { ok: true, text: 'ip utility' },
  tar: { ok: true, text: 'tar (GNU tar) 1.35\nmore' },
  ipVs: true,
  mayChangeLimits: true,
  otherUsers: '',
  memoryAvailableBytes: 8 * 1024 ** 3,
  diskAvailableBytes: 50 * 1024 ** 3,
};

function verdicts(facts: Partial<NodeFacts>): PreflightCheck[] {
  return judge({ ...GOOD, ...facts }).filter((check) => check.verdict !== 'OK');
}

describe('judge', () => {
  it('has nothing to say about a good node', () => {
    expect(verdicts({})).toEqual([]);
    expect(judge(GOOD).every((check) => check.advice === '')).toBe(true);
  });

  it.each<[string, Partial<NodeFacts>, string, PreflightCheck['verdict'], RegExp]>([
    ['no root', { isRoot: false }, 'root', 'FAILED', /as root/],
    ['CRIU too old for the kernel', { criu: '4.1.1' }, 'criu', 'FAILED', /CRIU 4\.2 or later: kernel 6\.18/],
    ['no CRIU', { criu: '' }, 'criu', 'FAILED', /install CRIU/],
    ['criu check fails', { criuCheck: { ok: false, text: 'Error x' } }, 'criu check', 'FAILED', /criu check/],
    ['engine down', { engine: '', engineProblem: 'ENOENT' }, 'engine', 'FAILED', /start dockerd/],
    ['another storage driver', { storageDriver: 'btrfs' }, 'storage driver', 'FAILED', /overlay2/],
    ['no Swarm', { swarm: 'inactive' }, 'swarm', 'FAILED', /swarm join/],
    ['no shim', { shimInstalled: false, runtime: 'runc' }, 'shim', 'FAILED', /agent install/],
    ['no nft', { nft: undefined }, 'nftables', 'FAILED', /nftables/],
    ['busybox tar', { tar: { ok: true, text: 'tar (busybox) 1.3' } }, 'tar', 'FAILED', /GNU tar/],
    ['little memory', { memoryAvailableBytes: 1 }, 'memory', 'WARNING', /disk/],
    ['little disk', { diskAvailableBytes: 1024 ** 3 }, 'disk', 'WARNING', /free some space/],
    ['no disk', { diskAvailableBytes: 0 }, 'disk', 'FAILED', /free some space/],
    ['no soft-dirty', { memDirtyTrack: false }, 'mem_dirty_track', 'WARNING', /frozen/],
    ['no right to read limits', { otherUsers: "Can't get rlimit 0" }, 'other users', 'WARNING', /all capabilities/],
    ['no right to raise limits', { mayChangeLimits: false }, 'CAP_SYS_RESOURCE', 'WARNING', /ulimits.*restore/],
    ['no ip_vs', { ipVs: false }, 'ip_vs', 'WARNING', /dnsrr/],
  ])('%s', (_, facts, name, verdict, advice) => {
    const [check, ...others] = verdicts(facts);
    expect(others).toEqual([]);
    expect(check).toMatchObject({ name, verdict, advice: expect.stringMatching(advice) as string });
  });
});

describe('versions', () => {
  it.each([
    ['6.15.9', '3.17'],
    ['6.16.0-rc1', '4.2'],
    ['7.0', '4.2'],
  ])('kernel %s needs CRIU %s', (kernel, criu) => {
    expect(neededCriu(kernel)).toBe(criu);
  });

  it('are compared by number', () => {
    expect(isOlder('4.10', '4.2')).toBe(false);
    expect(isOlder('4.2', '4.2.0')).toBe(false);
    expect(isOlder('4.1.99', '4.2')).toBe(true);
    expect(isOlder('v26.1.5+dfsg1', '20.10')).toBe(false);
  });
});
