import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { TestbedError, claimBed, down, up } from '../../../examples/testbed/index.ts';

const bed = { name: 'claim-test' };
const TESTBED = fileURLToPath(new URL('../../../examples/testbed/index.ts', import.meta.url));

/** Two runs at once: neither may take the other's bed away. */
describe('a test bed belongs to one run at a time', () => {
  const children: ChildProcess[] = [];

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  /** Another process that does something with the bed, says what came of it, and stays. */
  async function other(script: string): Promise<{ child: ChildProcess; said: string }> {
    const program = `const testbed = await import(${JSON.stringify(TESTBED)});
      const bed = ${JSON.stringify(bed)};
      try { ${script}; console.log('done'); } catch (error) { console.log(error.message); }
      setInterval(() => undefined, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, said: said.toString().trim() };
  }

  test('whoever comes second is refused, and told who has it; until that one is dead', async () => {
    const first = await other(`await testbed.claimBed(bed, 'a run of tests')`);
    expect(first.said).toBe('done');
    const who = new RegExp(`in use by process ${first.child.pid ?? ''} \\(a run of tests\\), since`);
    for (const attempt of [claimBed(bed, 'another run'), up(bed), down(bed)]) {
      const error = await attempt.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(TestbedError);
      expect(String(error)).toMatch(who);
    }
    const ended = once(first.child, 'exit');
    first.child.kill('SIGKILL');
    await ended;
    await using _claim = await claimBed(bed, 'another run');
    await down(bed);
  });

  test('whoever has it, and what it starts, may work with it; and it is free when given back', async () => {
    const claim = await claimBed(bed, 'a run of tests');
    await down(bed);
    expect((await other('await testbed.down(bed)')).said).toBe('done');
    await claim.release();
    await claim.release();
    expect((await other(`await testbed.claimBed(bed, 'another run')`)).said).toBe('done');
  });
});
