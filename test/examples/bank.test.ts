import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Control } from '../../examples/bank/audit/audit.ts';
import type { BranchReport } from '../../examples/bank/report.ts';
import { Programs } from './programs.ts';

const LIMIT_MS = 20_000;

interface Verdict {
  ok: boolean;
  total: number;
  accounts: number;
  transfers: number;
  inFlight: number;
  missing: number;
  duplicate: number;
  violations: string[];
  branches: BranchReport[];
}

describe('bank on loopback', { timeout: LIMIT_MS }, () => {
  let programs: Programs;
  let bank = 0;
  beforeAll(() => {
    programs = new Programs();
  });
  afterEach(async () => {
    await programs.stop();
  });
  afterAll(async () => {
    await programs.remove();
  });

  /** Four branches at four addresses, the first with settings of its own. Returns the environment of the checker. */
  function open(first: Record<string, string> = {}): Record<string, string> {
    const hosts = [1, 2, 3, 4].map((host) => programs.address(10 * bank + host));
    bank += 1;
    const shared = { BANK_BRANCHES: hosts.join(' ') };
    hosts.forEach((host, index) => {
      programs.start('bank/branch.js', {
        ...shared,
        BANK_HOST: host,
        BANK_SERVICE: `branch-${index}`,
        BANK_RATE: '500',
        ...file('JOURNAL', host),
        ...file('SHM', host),
        ...file('LAYER', host),
        ...(index === 0 ? first : {}),
      });
    });
    return shared;
  }

  const path = (kind: string, host: string): string => join(programs.folder, `${kind}-${host}`);
  const file = (kind: string, host: string): Record<string, string> => ({ [`BANK_${kind}`]: path(kind, host) });

  async function check(
    env: Record<string, string>,
    ...args: string[]
  ): Promise<{ code: number | undefined; verdict: Verdict }> {
    const { code, stdout } = await programs.run('bank/check.js', ['--json', ...args], env);
    return { code, verdict: JSON.parse(stdout) as Verdict };
  }

  /** Waits until each branch has three peers and has sent each of them `count` transfers more. */
  async function busy({ BANK_BRANCHES: hosts = '' }: Record<string, string>, count: number): Promise<void> {
    const wait = { timeout: LIMIT_MS, interval: 30 };
    for (const host of hosts.split(' ')) {
      const control = await vi.waitFor(() => Control.connect(host, 9100), wait);
      const sent = async (): Promise<number> => {
        const { channels } = await control.request('status', LIMIT_MS);
        expect(channels).toHaveLength(3);
        return Math.min(...channels.map(({ sentCount }) => sentCount));
      };
      const before = await vi.waitFor(sent, wait);
      await vi.waitFor(async () => expect(await sent()).toBeGreaterThan(before + count), wait);
      control.close();
    }
  }

  it('is in order while it works, and goes on after each audit', async () => {
    const env = open();
    await busy(env, 20);
    const first = await check(env);
    expect(first.verdict.violations).toEqual([]);
    expect(first.code).toBe(0);
    expect(first.verdict).toMatchObject({
      ok: true,
      total: 4_000_000,
      accounts: 4,
      inFlight: 0,
      missing: 0,
      duplicate: 0,
    });

    const saved = join(programs.folder, 'first.json');
    writeFileSync(saved, JSON.stringify(first.verdict));
    await busy(env, 50);
    const second = await check(env, '--not-before', saved);
    expect(second.verdict.violations).toEqual([]);
    expect(second.verdict.transfers).toBeGreaterThan(first.verdict.transfers);

    const line = await programs.run('bank/check.js', [], env);
    expect(line.stdout).toMatch(/^bank: OK total=4000000 accounts=4 transfers=\d+ in flight=0 missing=0 duplicate=0$/);

    // As if the books had come back from an earlier moment: this one is ahead of them.
    const ahead = structuredClone(second.verdict);
    const channel = ahead.branches[0]?.channels[0];
    if (channel !== undefined) channel.receivedCount += 1_000_000;
    writeFileSync(saved, JSON.stringify(ahead));
    const back = await check(env, '--not-before', saved);
    expect(back.code).toBe(1);
    expect(back.verdict.violations).toEqual([expect.stringContaining('receivedCount went back')]);
  });

  it('runs without a limit on the rate', async () => {
    const env = open({ BANK_RATE: '0', BANK_PAYLOAD: '4096' });
    await busy(env, 20);
    const { code, verdict } = await check(env);
    expect(verdict.violations).toEqual([]);
    expect(code).toBe(0);
  });

  it.each([
    ['lose:30', /transfers 30\.\.30 from .* are missing/, { missing: 1, total: 'less' }],
    ['repeat:30', /transfer 30 from .* came again/, { duplicate: 1, total: 'same' }],
    ['skip:30', /sent \d+ transfers, sum \d+; received \d+, sum \d+/, { missing: 0, total: 'less' }],
    ['twice:30', /balances add up to \d+, 4000000 was made/, { duplicate: 0, total: 'more' }],
  ])('catches a branch that commits %s', async (fault, text, { total, ...counts }) => {
    const env = open({ BANK_FAULT: fault });
    await busy(env, 40);
    const { code, verdict } = await check(env, '--timeout', '2500');
    expect(code).toBe(1);
    expect(verdict.ok).toBe(false);
    expect(verdict.violations.join('\n')).toMatch(text);
    expect(verdict).toMatchObject(counts);
    expect(Math.sign(verdict.total - 4_000_000)).toBe({ less: -1, same: 0, more: 1 }[total]);
  });

  it('catches files from another moment', async () => {
    const env = open();
    await busy(env, 1);
    const host = env.BANK_BRANCHES?.split(' ')[1] ?? '';
    appendFileSync(path('JOURNAL', host), '1 a line that this branch does not remember\n');
    rmSync(path('LAYER', host));
    // The branch itself writes this one every second.
    const spoil = setInterval(() => writeFileSync(path('SHM', host), 'something else'), 10);
    const { code, verdict } = await check(env).finally(() => clearInterval(spoil));
    expect(code).toBe(1);
    expect(verdict.violations).toEqual([
      expect.stringMatching(/JOURNAL-\S+: has \d+ lines, \d+ were written/),
      expect.stringMatching(/SHM-\S+: holds .*, memory holds \d+/),
      expect.stringMatching(/LAYER-\S+: .*ENOENT/),
    ]);
  });

  it('says which branch it cannot reach', async () => {
    const env = open();
    await busy(env, 1);
    const nobody = programs.address(240);
    const more = { BANK_BRANCHES: `${env.BANK_BRANCHES ?? ''} ${nobody}` };
    const { code, stderr } = await programs.run('bank/check.js', ['--timeout', '1'], more);
    expect(code).toBe(2);
    expect(stderr).toContain(`${nobody}:9100: connect ECONNREFUSED`);
  });

  it('shows a branch that has died as lost connections', async () => {
    const env = open();
    await busy(env, 20);
    await programs.kill(0);
    const { code, verdict } = await check(env, '--timeout', '2500');
    expect(code).toBe(1);
    expect(verdict.violations.filter((text) => /connection to .* lost/.test(text))).toHaveLength(3);
  });
});
