import type { ProcessId, Round, RoundEffect, RoundInput, RoundOptions, RoundPhase } from '../contract.ts';
import { firstFew } from '../../model/visible.ts';

/** How coordinated algorithms differ in the coordinator's eyes. */
export interface TwoPhaseRules {
  /** Processes stay blocked after their save until all have saved, and are then released together (`sync`). */
  readonly releaseTogether: boolean;
}

/** What puts the deadline off. */
const ANSWERS: ReadonlySet<RoundInput['kind']> = new Set(['progress', 'prepared', 'saved', 'released']);

/**
 * A coordinated round as a two-phase commit (Koo & Toueg 1987, section 3): every process takes a *tentative* checkpoint; when all are
 * collected the manifest is written and all become *permanent*; if any fails, all are discarded and everybody runs on.
 */
export class TwoPhaseRound implements Round {
  #phase: RoundPhase = 'idle';
  #reason: string | undefined;
  #deadline = Number.POSITIVE_INFINITY;
  /** The last that was heard of a process in this phase. */
  readonly #doing = new Map<ProcessId, string>();
  /** Processes that the present phase still waits for. */
  #missing = new Set<ProcessId>();
  readonly #options: RoundOptions;
  readonly #rules: TwoPhaseRules;

  constructor(options: RoundOptions, rules: TwoPhaseRules) {
    if (options.processes.length === 0) throw new RangeError('a round needs at least one process');
    this.#options = options;
    this.#rules = rules;
  }

  get phase(): RoundPhase {
    return this.#phase;
  }

  get reason(): string | undefined {
    return this.#reason;
  }

  step(input: RoundInput): readonly RoundEffect[] {
    if (ANSWERS.has(input.kind) && this.#deadline < Number.POSITIVE_INFINITY)
      this.#deadline = input.now + this.#options.deadlineMs;
    switch (input.kind) {
      case 'begin':
        if (this.#phase !== 'idle') return [];
        this.#deadline = input.now + this.#options.deadlineMs;
        return this.#enter('preparing', { kind: 'prepare', processes: this.#all, epoch: this.#options.epoch });
      case 'progress':
        this.#doing.set(input.process, input.doing);
        return [];
      case 'prepared':
        if (!this.#arrived('preparing', input.process)) return [];
        return this.#enter('cutting', { kind: 'start', processes: this.#all, epoch: this.#options.epoch });
      case 'saved':
        if (!this.#arrived('cutting', input.process)) return [];
        // A task that is to move stays frozen: whoever runs the migration decides when it goes on.
        if (!this.#rules.releaseTogether || this.#options.keepFrozen) return this.#collect();
        return this.#enter('releasing', { kind: 'release', processes: this.#all });
      case 'released':
        return this.#arrived('releasing', input.process) ? this.#collect() : [];
      case 'collected':
        if (!this.#arrived('collecting', input.process)) return [];
        if (this.#options.keepFrozen) return this.#enter('handed-over', { kind: 'hand-over', processes: this.#all });
        return this.#enter('committing', { kind: 'commit' });
      case 'committed':
        if (this.#phase !== 'committing') return [];
        return this.#enter('committed', { kind: 'finish', processes: this.#all });
      case 'failed':
        return this.#abort(input.process === undefined ? input.reason : `${input.process}: ${input.reason}`);
      case 'cancel':
        // The manifest may be on disk already: the answer to `commit` decides, not the user.
        return this.#phase === 'committing' ? [] : this.#abort(input.reason);
      case 'tick':
        return input.now >= this.#deadline ? this.#abort(this.#lateness()) : [];
    }
  }

  get #all(): readonly ProcessId[] {
    return this.#options.processes;
  }

  #collect(): readonly RoundEffect[] {
    // Everybody runs again: what remains is copying, which may take as long as it takes.
    this.#deadline = Number.POSITIVE_INFINITY;
    return this.#enter('collecting', { kind: 'collect', processes: this.#all });
  }

  #enter(phase: RoundPhase, effect: RoundEffect): readonly RoundEffect[] {
    this.#phase = phase;
    this.#missing = new Set(this.#all);
    this.#doing.clear();
    return [effect];
  }

  /** Notes one process's answer; true when it was the last one of the phase. Answers of another phase are late duplicates. */
  #arrived(phase: RoundPhase, process: ProcessId): boolean {
    return this.#phase === phase && this.#missing.delete(process) && this.#missing.size === 0;
  }

  #lateness(): string {
    const missing = [...this.#missing].map((process) => {
      const doing = this.#doing.get(process);
      return doing === undefined ? process : `${process} (last heard: ${doing})`;
    });
    const limit = `${this.#options.deadlineMs / 1000} s`;
    return `nothing has got on for ${limit} while ${this.#phase}; no answer from ${firstFew(missing)}`;
  }

  #abort(reason: string): readonly RoundEffect[] {
    // After the manifest is written there is no way back, what is handed over is somebody else's, and before `begin` there is nothing to undo.
    if (this.#phase === 'committed' || this.#phase === 'handed-over' || this.#phase === 'aborted') return [];
    const begun = this.#phase !== 'idle';
    this.#phase = 'aborted';
    this.#reason = reason;
    return begun ? [{ kind: 'abort', processes: this.#all, reason }] : [];
  }
}
