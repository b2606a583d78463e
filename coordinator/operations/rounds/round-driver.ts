import type { ProcessId, Round, RoundEffect, RoundInput } from '../../../src/algorithms/index.ts';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';

/** The signal may have been aborted since it was last looked at, which the compiler cannot know. */
function gone(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** To be told what a process is at when it has got on with what it was asked for. */
export type OnProgress = (doing: string) => void;

/** Carries out what a round wants done. One call concerns one process; the driver runs them for all processes at once. */
export interface RoundExecutor {
  prepare(process: ProcessId, onProgress: OnProgress): Promise<void>;
  /** Settles when the participant has reported `saved`. */
  start(process: ProcessId, onProgress: OnProgress): Promise<void>;
  release(process: ProcessId, onProgress: OnProgress): Promise<void>;
  collect(process: ProcessId): Promise<void>;
  /** Writes the manifest durably. */
  commit(): Promise<void>;
  finish(processes: readonly ProcessId[]): Promise<void>;
  /** The round ends with its processes frozen: settles when somebody else answers for them. */
  handOver(processes: readonly ProcessId[]): Promise<void>;
  abort(processes: readonly ProcessId[], reason: string): Promise<void>;
}

type Untimed = RoundInput extends infer I ? (I extends { now: number } ? Omit<I, 'now'> : I) : never;

/**
 * Runs one round to its end: feeds the state machine and executes its effects.
 * @throws SwarmcutError: the error of the process that failed, when the round was aborted; everything has been undone by then. That of
 *   `handOver`, when the round ends by it: then tasks may still be frozen, and whoever was to take them over must let them go
 */
export async function runRound(round: Round, executor: RoundExecutor, signal: AbortSignal): Promise<void> {
  let firstError: unknown;
  let last: Promise<void> = Promise.resolve();
  let finished: () => void = () => undefined;
  const end = new Promise<void>((resolve) => (finished = resolve));

  const fail = (process: ProcessId | undefined, error: unknown): void => {
    firstError ??= error;
    feed({ kind: 'failed', reason: messageOf(error), ...(process === undefined ? {} : { process }) });
  };
  const each = (
    processes: readonly ProcessId[],
    call: (process: ProcessId, onProgress: OnProgress) => Promise<void>,
    kind: 'prepared' | 'saved' | 'released' | 'collected',
  ): void => {
    for (const process of processes) {
      call(process, (doing) => feed({ kind: 'progress', process, doing })).then(
        () => feed({ kind, process }),
        (error: unknown) => fail(process, error),
      );
    }
  };
  const execute = (effect: RoundEffect): void => {
    switch (effect.kind) {
      case 'prepare':
        return each(effect.processes, (process, told) => executor.prepare(process, told), 'prepared');
      case 'start':
        return each(effect.processes, (process, told) => executor.start(process, told), 'saved');
      case 'release':
        return each(effect.processes, (process, told) => executor.release(process, told), 'released');
      case 'collect':
        return each(effect.processes, (process) => executor.collect(process), 'collected');
      case 'commit':
        executor.commit().then(
          () => feed({ kind: 'committed' }),
          (error: unknown) => fail(undefined, error),
        );
        return;
      case 'finish':
        last = executor.finish(effect.processes);
        return finished();
      case 'hand-over':
        last = executor.handOver(effect.processes);
        return finished();
      case 'abort':
        last = executor.abort(effect.processes, effect.reason);
        return finished();
    }
  };
  const feed = (input: Untimed): void => {
    for (const effect of round.step({ ...input, now: performance.now() })) execute(effect);
  };

  const ticker = setInterval(() => feed({ kind: 'tick' }), 200);
  const cancel = (): void => feed({ kind: 'cancel', reason: 'interrupted' });
  signal.addEventListener('abort', cancel, { once: true });
  try {
    if (signal.aborted) throw new SwarmcutError('interrupted', 'interrupted before the round began');
    feed({ kind: 'begin' });
    await end;
    await last;
  } finally {
    clearInterval(ticker);
    signal.removeEventListener('abort', cancel);
  }
  if (round.phase === 'committed' || round.phase === 'handed-over') return;
  if (gone(signal)) throw new SwarmcutError('interrupted', 'interrupted: the round was aborted and every task runs on');
  if (firstError instanceof Error) throw firstError;
  throw new SwarmcutError('failed', `the round was aborted: ${round.reason ?? 'no reason given'}`, {
    advice: 'every task runs on; if a dump needs longer, raise the label swarmcut.freeze-timeout',
  });
}
