import { describe, expect, it } from 'vitest';
import { CheckpointingParticipant } from '../../src/algorithms/message/checkpointing-participant.ts';
import { cic, cicFdas } from '../../src/algorithms/message/cic.ts';
import { LoggingParticipant } from '../../src/algorithms/message/logging-participant.ts';
import type {
  MessageAlgorithm,
  MessageEffect,
  MessageParticipant,
  Piggyback,
} from '../../src/algorithms/message/contract.ts';
import { causalLog, optimisticLog, pessimisticLog } from '../../src/algorithms/message/message-logging.ts';
import { uncoordinated } from '../../src/algorithms/message/uncoordinated.ts';
import { fuzzConfig } from '../../src/simulator/fuzz.ts';
import { MessageWorld } from '../../src/simulator/messages/world.ts';

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

/** Lets something else ride on every message. */
function withPiggyback(inner: MessageParticipant, change: (piggyback: Piggyback) => Piggyback): MessageParticipant {
  const step = inner.step.bind(inner);
  inner.step = (input) =>
    step(input).map((effect): MessageEffect => {
      if (effect.kind !== 'transmit') return effect;
      return { ...effect, message: { ...effect.message, piggyback: change(effect.message.piggyback) } };
    });
  return inner;
}

/** The first complaint of this kind, whatever else is said before. */
function complaint(algorithm: MessageAlgorithm, kind: RegExp, seeds = 300): string | undefined {
  for (let seed = 1; seed <= seeds; seed++) {
    const found = run(algorithm, seed).violations.find((violation) => kind.test(violation));
    if (found !== undefined) return found;
  }
  return undefined;
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

  it('a replay that is not what happened, because timers are not logged', () => {
    const timeless = broken(pessimisticLog, (process) => {
      const inner = new LoggingParticipant(process, {
        holdsSends: true,
        carriesVector: false,
        carriesDeterminants: false,
      });
      const step = inner.step.bind(inner);
      inner.step = (input) => (input.kind === 'act' ? [{ kind: 'act' }] : step(input));
      return inner;
    });
    expect(complaint(timeless, /replay differs at state/)).toBeDefined();
  });

  it('a rollback beyond the recovery line', () => {
    const fearful = broken(uncoordinated, (process) =>
      withPiggyback(
        new CheckpointingParticipant(process, { carriesIndex: false, carriesVector: false, forces: () => false }),
        (piggyback) => ({ ...piggyback, interval: (piggyback.interval ?? 0) + 1 }),
      ),
    );
    expect(firstViolation(fearful, 300, false)).toMatch(/is sent to checkpoint \d+, but the recovery line has/);
  });

  it('a rollback that does not go as far as the recovery line', () => {
    const bold = broken(uncoordinated, (process) =>
      withPiggyback(
        new CheckpointingParticipant(process, { carriesIndex: false, carriesVector: false, forces: () => false }),
        (piggyback) => ({ ...piggyback, interval: 0 }),
      ),
    );
    expect(firstViolation(bold, 300, false)).toMatch(/but the recovery line has checkpoint/);
  });

  it('an orphan that is none', () => {
    const rules = { holdsSends: false, carriesVector: true, carriesDeterminants: false };
    const fearful = broken(optimisticLog, (process) =>
      withPiggyback(new LoggingParticipant(process, rules), (piggyback) => ({
        ...piggyback,
        order: (piggyback.order ?? 0) + 2,
      })),
    );
    expect(firstViolation(fearful)).toMatch(/is sent back to state \d+, but state \d+ could be had again/);
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
