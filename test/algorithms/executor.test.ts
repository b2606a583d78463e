import { describe, expect, it } from 'vitest';
import { chandyLamport } from '../../src/algorithms/coordinated/chandy-lamport.ts';
import { laiYang } from '../../src/algorithms/coordinated/lai-yang.ts';
import { sync } from '../../src/algorithms/coordinated/sync.ts';
import type { Algorithm, ParticipantEffect, ParticipantInput } from '../../src/algorithms/contract.ts';
import type { Ended, Part, Result } from '../../src/algorithms/effects.ts';
import { Executor } from '../../src/algorithms/executor.ts';

/** A task that writes down what is done to it. Effects named `slow` (and every save) end when the test says so; `broken` ones fail. */
class Script {
  readonly done: string[] = [];
  slow: readonly string[] = [];
  broken: readonly string[] = [];
  readonly #open = new Map<string, Ended[]>();

  /** The oldest one of these effects that is under way ends. */
  end(name: string, fault?: string): void {
    const ended = this.#open.get(name)?.shift();
    if (ended === undefined) throw new Error(`no ${name} is under way`);
    ended(100, fault);
  }

  part(participant: Part['participant'], channels = true): Part {
    return {
      participant,
      task: {
        block: () => this.#do('block'),
        freeze: () => this.#do('freeze'),
        save: () => this.#do('save', true),
        advance: () => this.#do('advance'),
        unblock: () => this.#do('unblock'),
        thaw: () => this.#do('thaw'),
        discard: () => this.#do('discard'),
      },
      report: (outcome) => this.#do(`report ${outcome.kind}${outcome.kind === 'aborted' ? `: ${outcome.reason}` : ''}`),
      ...(channels && {
        channels: {
          sendMarker: (channel: string) => void this.#do(`marker ${channel}`),
          startRecording: (channel: string) => void this.#do(`record ${channel}`),
          stopRecording: (channel: string) => void this.#do(`stop ${channel}`),
          pauseChannel: (channel: string, paused: boolean) =>
            void this.#do(`${paused ? 'pause' : 'resume'} ${channel}`),
        },
      }),
    };
  }

  #do(name: string, slow = this.slow.includes(name)): Result {
    this.done.push(name);
    if (this.broken.includes(name)) throw new Error(`${name} is broken`);
    if (!slow) return undefined;
    return (ended) => void this.#open.set(name, [...(this.#open.get(name) ?? []), ended]);
  }
}

const options = { process: 'p', epoch: 0, deadlineMs: 1_000, keepFrozen: false };

function run(algorithm: Algorithm, script = new Script(), keepFrozen = false) {
  const executor = new Executor(script.part(algorithm.participant({ ...options, keepFrozen })));
  const start = (): void => executor.feed({ kind: 'start', epoch: 1, now: 0 });
  return { executor, script, start };
}

/** A participant that answers each kind of input with these effects. */
function answering(
  answers: Partial<Record<ParticipantInput['kind'], readonly ParticipantEffect[]>>,
): Part['participant'] {
  return { step: ({ kind }) => answers[kind] ?? [], busy: false };
}

describe('effects of one step', () => {
  it('are carried out in order, and a save is only begun', () => {
    const { script, start } = run(laiYang);
    start();
    expect(script.done).toEqual(['block', 'freeze', 'save']);
    script.end('save');
    expect(script.done.slice(3)).toEqual(['advance', 'thaw', 'report saved']);
  });

  it('begin when the one before them has ended', () => {
    const { script, start } = run(laiYang);
    script.slow = ['block', 'freeze'];
    start();
    expect(script.done).toEqual(['block']);
    script.end('block');
    expect(script.done).toEqual(['block', 'freeze']);
    script.end('freeze');
    expect(script.done).toEqual(['block', 'freeze', 'save']);
  });

  it('that end at once follow each other without a pause: markers and recordings in the very call that ends the freeze', () => {
    const { executor, script, start } = run(chandyLamport);
    executor.feed({ kind: 'opened', channel: 'in', direction: 'in', epoch: 0 });
    executor.feed({ kind: 'opened', channel: 'out', direction: 'out', epoch: 0 });
    script.slow = ['freeze'];
    start();
    script.end('freeze');
    expect(script.done).toEqual(['block', 'freeze', 'marker out', 'record in', 'save']);
  });

  it('on channels fail where the interceptor has none', () => {
    const script = new Script();
    const executor = new Executor(script.part(chandyLamport.participant(options), false));
    executor.feed({ kind: 'opened', channel: 'out', direction: 'out', epoch: 0 });
    executor.feed({ kind: 'start', epoch: 1, now: 0 });
    expect(script.done.at(-1)).toBe('report aborted: send-marker failed: there is no interceptor that can send-marker');
  });
});

describe('inputs', () => {
  it('wait until the effects of the one before them have ended, and say when theirs have', () => {
    const { executor, script } = run(laiYang);
    script.slow = ['block', 'discard'];
    const told: string[] = [];
    executor.feed({ kind: 'start', epoch: 1, now: 0 }, () => told.push('start'));
    executor.feed({ kind: 'abort', reason: 'x', now: 1 }, () => told.push('abort'));
    expect([script.done, told]).toEqual([['block'], []]);
    script.end('block');
    expect([script.done, told]).toEqual([['block', 'freeze', 'save', 'discard'], ['start']]);
    script.end('discard');
    expect(told).toEqual(['start', 'abort']);
    expect(executor.idle).toBe(true);
  });

  it('that an effect feeds wait until its step is over', () => {
    const script = new Script();
    const participant = answering({ start: [{ kind: 'block' }, { kind: 'thaw' }], tick: [{ kind: 'freeze' }] });
    const part = script.part(participant);
    const executor: Executor = new Executor({
      ...part,
      task: {
        ...part.task,
        block: () => {
          executor.feed({ kind: 'tick', now: 1 });
          return part.task.block();
        },
      },
    });
    executor.feed({ kind: 'start', epoch: 1, now: 0 });
    expect(script.done).toEqual(['block', 'thaw', 'freeze']);
  });

  it('without a participant are dealt with at once', () => {
    let done = false;
    new Executor().feed({ kind: 'marker', channel: 'c', epoch: 1, now: 0 }, () => (done = true));
    expect(done).toBe(true);
  });
});

describe('an effect that fails', () => {
  const letGo = (fault: string): string[] => ['discard', 'unblock', 'thaw', `report aborted: ${fault}`];

  it.each([
    { effect: 'block', before: [] },
    { effect: 'freeze', before: ['block'] },
    { effect: 'advance', before: ['block', 'freeze', 'save'] },
    { effect: 'thaw', before: ['block', 'freeze', 'save', 'advance'] },
  ])('ends its step, and the round: $effect, at once or later', ({ effect, before }) => {
    for (const late of [false, true]) {
      const { script, start } = run(laiYang);
      if (late) script.slow = [effect];
      else script.broken = [effect];
      start();
      if (before.includes('save')) script.end('save');
      script.slow = [];
      if (late) script.end(effect, `${effect} is broken`);
      expect(script.done).toEqual([...before, effect, ...letGo(`${effect} failed: ${effect} is broken`)]);
    }
  });

  it('is answered before the inputs that wait', () => {
    const { executor, script, start } = run(laiYang);
    script.slow = ['block'];
    start();
    executor.feed({ kind: 'abort', reason: 'too late', now: 1 });
    script.end('block', 'no');
    expect(script.done).toEqual(['block', ...letGo('block failed: no')]);
  });

  it('while undoing stops nothing', () => {
    for (const broken of [['discard'], ['unblock'], ['discard', 'unblock', 'thaw']]) {
      const { executor, script, start } = run(sync);
      start();
      script.broken = broken;
      executor.feed({ kind: 'abort', reason: 'x', now: 1 });
      expect(script.done.slice(3)).toEqual(letGo('x'));
      expect(executor.idle).toBe(true);
    }
  });

  it('while a participant gives up by itself stops nothing either', () => {
    const { executor, script, start } = run(chandyLamport);
    executor.feed({ kind: 'opened', channel: 'in', direction: 'in', epoch: 0 });
    start();
    script.broken = ['discard'];
    executor.feed({ kind: 'peer-lost', channel: 'in', now: 1 });
    expect(script.done.slice(-4, -1)).toEqual(['discard', 'unblock', 'thaw']);
  });

  it('is told to whoever logs it', () => {
    const script = new Script();
    const faults: string[] = [];
    const part = script.part(sync.participant(options));
    const executor = new Executor({ ...part, onFault: (effect, reason) => faults.push(`${effect}: ${reason}`) });
    script.broken = ['freeze', 'unblock'];
    executor.feed({ kind: 'start', epoch: 1, now: 0 });
    expect(faults).toEqual(['freeze: freeze is broken', 'unblock: unblock is broken']);
  });
});

describe('the end of a save', () => {
  it('that has failed ends the round', () => {
    const { script, start } = run(laiYang);
    start();
    script.end('save', 'no space');
    expect(script.done.slice(3)).toEqual(['discard', 'unblock', 'thaw', 'report aborted: save failed: no space']);
  });

  it('is void when it was discarded, for the next one too', () => {
    const { executor, script, start } = run(laiYang);
    start();
    executor.feed({ kind: 'abort', reason: 'x', now: 1 });
    executor.feed({ kind: 'start', epoch: 2, now: 2 });
    script.done.length = 0;
    script.end('save');
    expect(script.done).toEqual([]);
    script.end('save');
    expect(script.done).toEqual(['advance', 'thaw', 'report saved']);
  });
});

describe('rounds that follow each other', () => {
  /** An executor that is told of round 2 while the effects of round 1 are being carried out. */
  function between() {
    const script = new Script();
    const executor = new Executor();
    const events: string[] = [];
    const prepare = (epoch: number): void =>
      executor.prepare(
        epoch,
        0,
        () => {
          events.push(`made ${epoch}`);
          return script.part(laiYang.participant({ ...options, epoch: epoch - 1 }));
        },
        (prepared) => events.push(`${epoch} is ${prepared ? 'prepared' : 'refused'}`),
      );
    executor.announce(1);
    prepare(1);
    script.slow = ['freeze'];
    executor.start(1, 0);
    events.length = 0;
    return { executor, script, events, prepare };
  }

  it('get their participant when the effects of the earlier one have been undone', () => {
    const { executor, script, events, prepare } = between();
    executor.announce(2);
    prepare(2);
    expect(events).toEqual([]);
    script.end('freeze');
    expect(script.done.slice(-4)).toEqual(['discard', 'unblock', 'thaw', 'report aborted: round 2 begins']);
    expect(events).toEqual(['made 2', '2 is prepared']);
    script.slow = [];
    expect(executor.start(2, 0)).toBe(true);
    expect(script.done.slice(-3)).toEqual(['block', 'freeze', 'save']);
  });

  it.each([
    ['an abort', (executor: Executor) => executor.abort('changed our minds', 1)],
    ['its end', (executor: Executor) => executor.withdraw()],
    ['a later round', (executor: Executor) => executor.announce(3)],
  ])('are not prepared when %s overtakes that', (_, overtake) => {
    const { executor, script, events, prepare } = between();
    executor.announce(2);
    prepare(2);
    overtake(executor);
    script.end('freeze');
    expect(events).toEqual(['2 is refused']);
    expect(executor.busy).toBe(false);
    expect(executor.start(2, 2)).toBe(false);
  });

  it('are not prepared when they were given up before that began', () => {
    const { executor, script, events, prepare } = between();
    executor.announce(2);
    executor.abort('changed our minds', 1);
    prepare(2);
    script.end('freeze');
    expect(events).toEqual(['2 is refused']);
  });

  it('are started only while they are prepared', () => {
    const { executor, script, prepare } = between();
    expect(executor.start(2, 0)).toBe(false);
    executor.announce(2);
    prepare(2);
    expect(executor.start(2, 0)).toBe(false);
    script.end('freeze');
    expect(executor.start(2, 0)).toBe(true);
    executor.abort('x', 1);
    expect(executor.announced).toBeUndefined();
    expect(executor.start(2, 2)).toBe(false);
  });

  it('may keep the participant, which ends the earlier one itself', () => {
    const { executor, script } = run(chandyLamport);
    const told: boolean[] = [];
    for (const epoch of [1, 2]) {
      executor.announce(epoch);
      executor.prepare(epoch, 0, undefined, (prepared) => told.push(prepared));
      expect(executor.start(epoch, 0)).toBe(true);
    }
    expect(told).toEqual([true, true]);
    expect(script.done.slice(3, 7)).toEqual(['discard', 'unblock', 'thaw', 'report aborted: round 2 begins']);
  });

  it('take inputs that came meanwhile after they are prepared', () => {
    const { executor, script } = between();
    const heard: string[] = [];
    const step = (input: ParticipantInput): [] => {
      heard.push(input.kind);
      return [];
    };
    executor.announce(2);
    executor.prepare(
      2,
      0,
      () => script.part({ step, busy: false }),
      () => undefined,
    );
    executor.feed({ kind: 'tick', now: 1 });
    script.end('freeze');
    expect(heard).toEqual(['prepare', 'tick']);
  });
});

describe('an executor that dies', () => {
  it('leaves what is under way to others, drops what waits, and takes no notice of its end', () => {
    const { executor, script } = run(laiYang);
    const told: string[] = [];
    script.slow = ['freeze'];
    executor.feed({ kind: 'start', epoch: 1, now: 0 }, () => told.push('start'));
    executor.feed({ kind: 'tick', now: 1 }, () => told.push('tick'));
    const { underWay, waiting } = executor.halt();
    expect([underWay, told]).toEqual(['freeze', []]);
    for (const done of waiting) done();
    expect(told).toEqual(['start', 'tick']);
    script.end('freeze');
    expect(script.done).toEqual(['block', 'freeze']);
    executor.feed({ kind: 'failed', effect: 'freeze', reason: 'it died', now: 2 });
    expect(script.done.at(-1)).toBe('report aborted: freeze failed: it died');
  });
});
