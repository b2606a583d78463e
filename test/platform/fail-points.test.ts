import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { STEPS, type Step } from '../../src/model/steps.ts';
import { made } from '../../src/platform/fail-points.ts';

const ROOT = path.join(import.meta.dirname, '../..');

describe('fail points', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'fail-points-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const want = (step: Step, what: string): void => writeFileSync(path.join(folder, step), `${what}\n`);
  const reached = (step: Step): boolean => existsSync(path.join(folder, `${step}.reached`));

  test('are off without a folder', async () => {
    await made(undefined)('agent.dump');
    await made('')('agent.dump');
  });

  test('do nothing where nothing is wanted', async () => {
    want('agent.thaw', 'error');
    await made(folder)('agent.dump');
    expect(readdirSync(folder)).toEqual(['agent.thaw']);
  });

  test('do what is wanted once, and say that the step was reached', async () => {
    const failPoint = made(folder);
    want('agent.dump', 'error');
    await expect(failPoint('agent.dump')).rejects.toThrow('fail point agent.dump');
    expect(reached('agent.dump')).toBe(true);
    await failPoint('agent.dump');
  });

  test('fail as a full disk does', async () => {
    want('agent.record', 'enospc');
    await expect(made(folder)('agent.record')).rejects.toMatchObject({ code: 'ENOSPC' });
  });

  test('hold a step until it may go on', async () => {
    want('agent.freeze', 'hold');
    let over = false;
    const held = made(folder)('agent.freeze').then(() => (over = true));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect({ over, reached: reached('agent.freeze') }).toEqual({ over: false, reached: true });
    rmSync(path.join(folder, 'agent.freeze.reached'));
    await held;
  });

  test('kill their own process, which runs not one more line', () => {
    want('agent.dump', 'kill');
    const program = `import('${ROOT}/src/platform/fail-points.ts').then(async ({ failPoint }) => { await failPoint('agent.dump'); console.log('alive'); })`;
    const { signal, stdout } = spawnSync(process.execPath, ['-e', program], {
      env: { ...process.env, SWARMCUT_FAILPOINTS: folder },
      encoding: 'utf8',
    });
    expect({ signal, stdout }).toEqual({ signal: 'SIGKILL', stdout: '' });
  });

  test('what is wanted must make sense', async () => {
    want('agent.dump', 'explode');
    await expect(made(folder)('agent.dump')).rejects.toThrow('"explode" is nothing');
    want('agent.dump', 'delay');
    await expect(made(folder)('agent.dump')).rejects.toThrow('a time in milliseconds is missing');
  });

  test('a folder to which somebody else may write is refused: it would be a way to end the agent', () => {
    chmodSync(folder, 0o777);
    expect(() => made(folder)).toThrow(/only this user can write to/);
    expect(() => made(path.join(folder, 'none'))).toThrow(/only this user can write to/);
  });
});

test('every step of the table is passed somewhere, by the program that it belongs to, and none that is not there', () => {
  const passed = new Map<string, Set<string>>();
  for (const program of ['coordinator', 'agent']) {
    for (const name of readdirSync(path.join(ROOT, program), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue;
      const owner = program === 'agent' && name.startsWith('sidecar/') ? 'sidecar' : program;
      const text = readFileSync(path.join(ROOT, program, name), 'utf8');
      for (const [, step = ''] of text.matchAll(/failPoint\('([^']+)'\)/g))
        passed.set(step, (passed.get(step) ?? new Set()).add(owner));
    }
  }
  expect(Object.fromEntries([...passed].map(([step, owners]) => [step, [...owners]]))).toEqual(
    Object.fromEntries(Object.keys(STEPS).map((step) => [step, [step.split('.')[0]]])),
  );
});
