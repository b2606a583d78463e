import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runScenario } from '../../src/simulator/scenario.ts';

/** Each `name.txt` is a scenario, `name.golden` what must happen. After a wanted change: `npx vitest run test/scenarios -u`. */
const folder = new URL('.', import.meta.url);
const scenarios = readdirSync(folder).filter((name) => name.endsWith('.txt'));

describe('scenarios', () => {
  it.each(scenarios)('%s', async (name) => {
    const output = runScenario(readFileSync(new URL(name, folder), 'utf8'));
    expect(output).toMatch(/no faults\n$/);
    await expect(output).toMatchFileSnapshot(new URL(name.replace('.txt', '.golden'), folder).pathname);
  });

  it.each([
    'at 5 dance p0',
    'at 5 send p0 p7 1',
    'at soon crash p0',
    'at 5 checkpoint p0',
    'at 5 agent-dies p9 10',
    'processors 3',
    'topology mobius',
    'latency',
    'latency long',
  ])('names a line that is not understood: %s', (line) => {
    expect(() => runScenario(`algorithm sync\n${line}`)).toThrow(`not understood: ${line}`);
  });

  it('does not let a frozen process speak', () => {
    const text = 'algorithm sync\nat 1 snapshot\nat 50 send p0 p1 1';
    expect(() => runScenario(text)).toThrow('p0 cannot send at 50 ms: it stands still');
  });
});
