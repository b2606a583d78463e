import { describe, expect, it } from 'vitest';
import { chandyLamport } from '../../src/algorithms/coordinated/chandy-lamport.ts';
import type { Algorithm } from '../../src/algorithms/contract.ts';
import { kooToueg } from '../../src/algorithms/coordinated/koo-toueg.ts';
import { laiYang } from '../../src/algorithms/coordinated/lai-yang.ts';
import { mattern } from '../../src/algorithms/coordinated/mattern.ts';
import { sync } from '../../src/algorithms/coordinated/sync.ts';
import { NO_FAULTS } from '../../src/simulator/world/config.ts';
import { CoordinatedWorld } from '../../src/simulator/coordinated/world.ts';
import { fuzzConfig } from '../../src/simulator/fuzz.ts';
import { nextBelow, prng, type Prng } from '../../src/simulator/world/prng.ts';

const SEEDS = Number(process.env.SIMULATOR_SEEDS ?? 400);

/**
 * The bound (docs/algorithms.md): after the last corruption, at most the round under way and the next one fail or are refused. Every round
 * after these is committed and correct.
 */
const BOUND_ROUNDS = 2;
const ROUND_MS = 1500;

/** Any state whatever: epochs, colours, half-finished rounds, blocks, markers that nobody sent or that come twice. */
function corrupt(world: CoordinatedWorld, random: Prng): void {
  world.corrupt((agent, epoch) => {
    agent.epoch = nextBelow(random, 10);
    agent.cutEpoch = nextBelow(random, 10);
    agent.colour = nextBelow(random, 2);
    agent.dropColour = nextBelow(random, 3) - 1;
    // A round that nobody has begun, in any phase, at the participant alone: its executor knows nothing of it.
    for (let i = nextBelow(random, 3); i > 0; i--) {
      agent.participant?.step({ kind: 'start', epoch: epoch + 1 + nextBelow(random, 3), now: world.now / 1000 });
      if (nextBelow(random, 2) === 0) agent.participant?.step({ kind: 'saved', now: world.now / 1000 });
    }
    // The same, and its executor does as it is told: the process is blocked, frozen and saved for nobody.
    if (nextBelow(random, 3) === 0)
      world.feed(agent.process, { kind: 'start', epoch: nextBelow(random, 12), now: world.now / 1000 });
  });
  // Elsewhere a channel is TCP, which takes no forged words.
  if (world.algorithm.interceptor !== 'proxy') return;
  for (const channel of world.channels) {
    for (let i = nextBelow(random, 3); i > 0; i--) world.forgeMarker(channel, nextBelow(random, 12));
  }
}

describe.each([sync, laiYang, chandyLamport, mattern, kooToueg] as Algorithm[])(
  '$name from any corrupted state',
  (algorithm) => {
    it(
      `makes correct snapshots again after ${BOUND_ROUNDS} rounds (${SEEDS} seeds)`,
      () => {
        let failed = 0;
        for (let seed = 1; seed <= SEEDS; seed++) {
          const random = prng(seed);
          const config = fuzzConfig(seed, algorithm.name === 'chandy-lamport');
          const world = new CoordinatedWorld(
            {
              ...config,
              durationMs: 12_000,
              thinkMs: 50,
              messageLimit: 0,
              intervalMs: 0,
              deadlineMs: 1000,
              // So that without corruption every round ends in time.
              costs: { ...config.costs, controlJitterMs: 2 },
              jitterDistribution: 'exponential',
              bandwidthDistribution: 'constant',
              // Requests go from cut to cut.
              ...(algorithm === kooToueg ? { stateBytes: 1e6 } : {}),
              faults: { ...NO_FAULTS, loss: config.faults.loss },
            },
            algorithm,
          );
          world.coordinator.refusalIsViolation = false;
          world.at(500, () => world.startRound());
          world.at(500 + nextBelow(random, 200), () => corrupt(world, random));
          for (let round = 1; round <= 6; round++) world.at(1000 + ROUND_MS * round, () => world.startRound());
          world.run();
          expect(world.violations, `seed ${seed}`).toEqual([]);
          const after = world.outcomes.slice(BOUND_ROUNDS);
          expect(
            after.filter(({ ok }) => !ok),
            `seed ${seed}: ${JSON.stringify(world.outcomes)}`,
          ).toEqual([]);
          expect(after.length, `seed ${seed}`).toBeGreaterThanOrEqual(4);
          failed += world.outcomes.filter(({ ok }) => !ok).length;
        }
        // Or nothing was corrupted at all.
        expect(failed).toBeGreaterThan(SEEDS / 20);
      },
      60_000 + SEEDS * 60,
    );
  },
);
