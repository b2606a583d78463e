import { describe, expect, it } from 'vitest';
import { newWorld, simulatedAlgorithms } from '../../src/simulator/families.ts';
import { FUZZ_KINDS, fuzzConfig } from '../../src/simulator/fuzz.ts';

const SEEDS = 20;

/**
 * What other machines came to: a digest of everything that happened in hostile runs. After a wanted change:
 * `npx vitest run test/simulator/same-everywhere.test.ts -u`.
 */
describe('the same seed', () => {
  it('gives the same trace on every machine', async () => {
    const lines = Object.entries(simulatedAlgorithms).map(([name, family]) => {
      const digests = FUZZ_KINDS.map((kind) => {
        const traces: string[] = [];
        for (let seed = 1; seed <= SEEDS; seed++)
          traces.push(newWorld(fuzzConfig(seed, family.needsFifo, kind), family).run().trace.digest);
        return `${kind} ${traces.join(' ')}`;
      });
      return [name, ...digests].join('\n  ');
    });
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(
      new URL('same-everywhere.golden', import.meta.url).pathname,
    );
  }, 60_000);
});
