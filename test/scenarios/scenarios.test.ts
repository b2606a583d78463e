import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runScenario } from '../../src/simulator/scenario.ts';

/** Each `name.txt` is a scenario, `name.golden` what must happen. After a wanted change: `npx vitest run -u test/scenarios`. */
const folder = new URL('.', import.meta.url);
const scenarios = readdirSync(folder).filter((name) => name.endsWith('.txt'));

describe('scenarios', () => {
  it.each(scenarios)('%s', async (name) => {
    const output = runScenario(readFileSync(new URL(name, folder), 'utf8'));
    expect(output).toMatch(/no faults\n$/);
    await expect(output).toMatchFileSnapshot(new URL(name.replace('.txt', '.golden'), folder).pathname);
  });

  it('names a line that is not understood', () => {
    expect(() => runScenario('algorithm sync\nat 5 dance p0')).toThrow('not understood: at 5 dance p0');
  });
});
