import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ownAddresses } from '../../../agent/sidecars/placement.ts';
import { Registrations } from '../../../agent/sidecars/registrations.ts';
import { stackKey } from '../../../agent/sidecars/stack-key.ts';

let base: string;
const directories = (): { state: string; run: string } => ({ state: join(base, 'state'), run: join(base, 'run') });
const markers = (): string[] => readdirSync(join(base, 'run', 'sidecar')).sort();

async function opened(): Promise<Registrations> {
  const made = new Registrations(directories());
  expect(await made.open()).toEqual([]);
  return made;
}

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'swarmcut-sidecars-'));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

describe('which services get sidecars', () => {
  it('those that a stack has named, until it names others', async () => {
    const registrations = await opened();
    await registrations.set('bank', ['bank_a', 'bank_b']);
    await registrations.set('pair', ['pair_x']);
    await registrations.set('bank', ['bank_b']);
    expect(markers()).toEqual(['bank_b', 'pair_x']);
    expect(['bank_a', 'bank_b', 'pair_x'].map((service) => registrations.declares(service, {}))).toEqual([
      false,
      true,
      true,
    ]);
    await registrations.remove('bank');
    await registrations.remove('unknown');
    expect(markers()).toEqual(['pair_x']);
  });

  it('those whose containers declare an algorithm of the proxy', async () => {
    const registrations = await opened();
    expect(registrations.declares('x', { 'swarmcut.algorithm': 'chandy-lamport' })).toBe(true);
    expect(registrations.declares('x', { 'swarmcut.algorithm': 'lai-yang' })).toBe(false);
  });

  it('are known to the next agent, also after a reboot', async () => {
    await (await opened()).set('bank', ['bank_a']);
    rmSync(join(base, 'run'), { recursive: true });
    expect((await opened()).declares('bank_a', {})).toBe(true);
    expect(markers()).toEqual(['bank_a']);
    for (const path of ['state/sidecars/bank.json', 'run/sidecar/bank_a'])
      expect(statSync(join(base, path)).mode & 0o777).toBe(0o600);
  });

  it('a file that cannot be read is named, and the others count', async () => {
    await (await opened()).set('bank', ['bank_a']);
    const damaged = join(base, 'state', 'sidecars', 'other.json');
    writeFileSync(damaged, '{"stack":');
    const next = new Registrations(directories());
    expect(await next.open()).toEqual([damaged]);
    expect(next.declares('bank_a', {})).toBe(true);
  });

  it('no name leads out of the folders', async () => {
    const registrations = await opened();
    await expect(registrations.set('bank', ['../x'])).rejects.toMatchObject({ code: 'usage' });
    await expect(registrations.set('..', ['x'])).rejects.toMatchObject({ code: 'usage' });
    expect(existsSync(join(base, 'state', 'sidecars'))).toBe(false);
  });
});

describe('the key of a stack', () => {
  it('is the same on nodes with the same secret, and another one for another stack', async () => {
    const put = (node: string, secret: Buffer): string => {
      const config = join(base, node);
      mkdirSync(join(config, 'agent'), { recursive: true });
      writeFileSync(join(config, 'agent', 'stack.key'), secret);
      return config;
    };
    const [n1, n2] = [put('n1', Buffer.alloc(32, 1)), put('n2', Buffer.alloc(32, 1))];
    const key = await stackKey(n1, 'bank');
    expect(key).toHaveLength(32);
    expect(await stackKey(n2, 'bank')).toEqual(key);
    expect(await stackKey(n1, 'pair')).not.toEqual(key);
    expect(await stackKey(put('n3', Buffer.alloc(32, 2)), 'bank')).not.toEqual(key);
    await expect(stackKey(put('n4', Buffer.alloc(31)), 'bank')).rejects.toMatchObject({ code: 'damaged' });
    await expect(stackKey(join(base, 'none'), 'bank')).rejects.toMatchObject({ code: 'precondition' });
  });
});

it('a task’s addresses are told apart by the networks that they belong to', () => {
  const networks = [
    { name: 'bank_a', subnets: ['10.0.1.0/24'] },
    { name: 'bank_b', subnets: ['10.0.2.0/25', '10.0.3.0/24'] },
    { name: 'bank_c', subnets: [] },
  ];
  expect(ownAddresses(['10.0.1.5', '172.18.0.3', '10.0.2.200', '10.0.3.1'], networks)).toEqual([
    { address: '10.0.1.5', network: 'bank_a' },
    { address: '10.0.3.1', network: 'bank_b' },
  ]);
});
