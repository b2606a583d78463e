import { describe, expect, it } from 'vitest';
import { CheckpointingParticipant } from '../../src/algorithms/checkpointing-participant.ts';
import { cic, cicFdas } from '../../src/algorithms/cic.ts';
import { LoggingParticipant } from '../../src/algorithms/logging-participant.ts';
import type { MessageAlgorithm, MessageParticipant } from '../../src/algorithms/message-contract.ts';
import { causalLog, optimisticLog, pessimisticLog } from '../../src/algorithms/message-logging.ts';
import { uncoordinated } from '../../src/algorithms/uncoordinated.ts';
import { fuzzConfig } from '../../src/simulator/fuzz.ts';
import { MessageWorld } from '../../src/simulator/message-world.ts';

const SEEDS = Number(process.env.SIMULATOR_SEEDS ?? 2000);
const TIMEOUT_MS = 60_000 + SEEDS * 60;

function run(algorithm: MessageAlgorithm, seed: number): MessageWorld {
  return new MessageWorld(fuzzConfig(seed, true), algorithm).run();
}

describe.each([uncoordinated, cic, cicFdas, pessimisticLog, optimisticLog, causalLog])(
  '$name in a hostile world',
  (algorithm) => {
    it(
      `keeps every promise with ${SEEDS} seeds`,
      () => {
        let recoveries = 0;
        let useless = 0;
        for (let seed = 1; seed <= SEEDS; seed++) {
          const { violations, metrics } = run(algorithm, seed);
          expect(violations, `replay: coordinator simulate -a ${algorithm.name} --fuzz 1 --seed ${seed}`).toEqual([]);
          recoveries += metrics.recoveries;
          useless += metrics.uselessCheckpoints;
        }
        expect(recoveries).toBeGreaterThan(SEEDS / 20);
        // The theorems: index-based and FDAS checkpoints are never useless; independent ones are.
        if (algorithm === uncoordinated) expect(useless).toBeGreaterThan(0);
        else expect(useless).toBe(0);
      },
      TIMEOUT_MS,
    );

    it('gives the same trace for the same seed', () => {
      expect(run(algorithm, 9).trace.digest).toBe(run(algorithm, 9).trace.digest);
    });
  },
);

function broken(base: MessageAlgorithm, participant: (process: number) => MessageParticipant): MessageAlgorithm {
  return { ...base, name: `${base.name}-broken`, participant };
}

function firstViolation(algorithm: MessageAlgorithm, seeds = 300, uselessToo = true): string {
  for (let seed = 1; seed <= seeds; seed++) {
    const { violations, metrics } = run(algorithm, seed);
    if (violations[0] !== undefined) return violations[0];
    if (uselessToo && metrics.uselessCheckpoints > 0) return `${metrics.uselessCheckpoints} useless checkpoints`;
  }
  return 'none';
}

describe('the checkers find', () => {
  it('a determinant that is lost', () => {
    const losing = broken(causalLog, (process) => {
      const inner = new LoggingParticipant(process, {
        holdsSends: false,
        carriesVector: false,
        carriesDeterminants: true,
      });
      inner.determinantsOf = () => [];
      return inner;
    });
    expect(firstViolation(losing)).toMatch(/although it did not crash/);
  });

  it('a pessimistic process that sends before its log is stable', () => {
    const hasty = broken({ ...pessimisticLog, logging: 'lazy' }, (process) => {
      const rules = { holdsSends: false, carriesVector: false, carriesDeterminants: false };
      return new LoggingParticipant(process, rules);
    });
    expect(firstViolation(hasty)).toMatch(/has to go back .* although it did not crash|orphan message/);
  });

  it('an index that is not propagated', () => {
    const silent = broken(
      cic,
      (process) =>
        new CheckpointingParticipant(process, { carriesIndex: false, carriesVector: false, forces: () => false }),
    );
    expect(firstViolation(silent)).toMatch(/useless/);
  });

  it("a sender's log that is emptied too early", () => {
    const forgetful = broken(uncoordinated, (process) => {
      const inner = new CheckpointingParticipant(process, {
        carriesIndex: false,
        carriesVector: false,
        forces: () => false,
      });
      inner.sentFrom = () => [];
      return inner;
    });
    expect(firstViolation(forgetful, 300, false)).toMatch(/is lost|delivered and 0 recorded/);
  });
});
