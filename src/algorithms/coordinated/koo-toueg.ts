import type { Algorithm, ProcessId, Round, RoundEffect, RoundInput, RoundOptions, RoundPhase } from '../contract.ts';
import { firstFew } from '../../model/visible.ts';
import { KernelParticipant } from './kernel-participant.ts';

/** What puts the deadline off. */
const ANSWERS: ReadonlySet<RoundInput['kind']> = new Set(['progress', 'prepared', 'saved', 'released']);

/**
 * By the process at the other end: the last label sent to it, or received from it. Labels of a channel are 1, 2, 3 …; 0 is Koo & Toueg's
 * "none". TCP's sequence numbers serve as labels, so nothing rides on messages.
 */
export type Labels = ReadonlyMap<ProcessId, number>;

/** What decides who takes part. */
export interface ParticipationRules {
  /**
   * Whom a process asks to take part when it has cut: everybody from whom it has received something since its last checkpoint
   * (`ckpt_cohort`), with the last label received. Both arguments are labels received: at the cut, and in the last checkpoint.
   */
  cohort(received: Labels, receivedBefore: Labels): Labels;
  /**
   * Whether one who is asked must take part: a label that a requester has received was sent after the own last checkpoint. Without a
   * checkpoint of its own, the requester's would record the receipt of a message whose sending is recorded nowhere.
   */
  mustFollow(requests: Labels, sentBefore: Labels): boolean;
}

/** Koo & Toueg's own rules (section 3.1: `last_label_rcvd` of the requester against `first_label_sent` of the one who is asked). */
export const kooTouegRules: ParticipationRules = {
  cohort: (received, receivedBefore) =>
    new Map([...received].filter(([process, label]) => label > (receivedBefore.get(process) ?? 0))),
  mustFollow: (requests, sentBefore) =>
    [...requests].some(([process, label]) => label > (sentBefore.get(process) ?? 0)),
};

/** What the coordinator knows of one process that was asked. */
interface Asked {
  /** Who wants it, and the last label that each has received from it. */
  readonly requests: Map<ProcessId, number>;
  /** `asked` waits for its answer, `declined` need not take part (so far), the others take part. */
  state: 'asked' | 'declined' | 'cutting' | 'saved';
  /** Its own requests are known. */
  hasAsked: boolean;
  /** A request came in while it was being asked. */
  again: boolean;
}

/**
 * A round with the fewest participants (Koo & Toueg 1987, "Checkpointing and rollback-recovery for distributed systems", section 3): the
 * first process of the options is the initiator. Whoever has cut names those whom its checkpoint depends upon, {@link requested}; they are
 * asked with `prepare`, and answer `prepared` or {@link declined}. When nobody is left to be asked and all have saved, the participants are
 * released together and the checkpoints become permanent as in `TwoPhaseRound`. In the paper requests go down a tree from process to
 * process; here the coordinator passes them on, which asks the same processes.
 */
export class KooTouegRound implements Round {
  #phase: RoundPhase = 'idle';
  #reason: string | undefined;
  #deadline = Number.POSITIVE_INFINITY;
  readonly #options: RoundOptions;
  readonly #asked = new Map<ProcessId, Asked>();
  /** Participants that the present phase waits for, once it is known who they are. */
  #missing = new Set<ProcessId>();

  constructor(options: RoundOptions) {
    if (options.processes.length === 0) throw new RangeError('a round needs at least one process');
    this.#options = options;
  }

  get phase(): RoundPhase {
    return this.#phase;
  }

  get reason(): string | undefined {
    return this.#reason;
  }

  /** Those who take part, as far as is known. */
  get participants(): readonly ProcessId[] {
    return [...this.#asked].filter(([, { state }]) => state === 'cutting' || state === 'saved').map(([name]) => name);
  }

  /** What goes with `prepare` to a process: who has received what from it. Empty for the initiator, who takes part anyhow. */
  requestsTo(process: ProcessId): Labels {
    return new Map(this.#asked.get(process)?.requests);
  }

  /** A process has cut, and its checkpoint depends on these. */
  requested(process: ProcessId, cohort: Labels): readonly RoundEffect[] {
    const asked = this.#asked.get(process);
    if (this.#phase !== 'cutting' || asked === undefined || asked.hasAsked) return [];
    asked.hasAsked = true;
    const toAsk: ProcessId[] = [];
    for (const [other, label] of cohort) if (this.#request(process, other, label)) toAsk.push(other);
    return toAsk.length > 0 ? [this.#prepare(toAsk)] : this.#releaseWhenComplete();
  }

  /** A process that was asked need not take part for what it was asked with. */
  declined(process: ProcessId): readonly RoundEffect[] {
    const asked = this.#asked.get(process);
    if (this.#phase !== 'cutting' || asked?.state !== 'asked') return [];
    if (asked.again) {
      asked.again = false;
      return [this.#prepare([process])];
    }
    asked.state = 'declined';
    return this.#releaseWhenComplete();
  }

  step(input: RoundInput): readonly RoundEffect[] {
    if (ANSWERS.has(input.kind) && this.#deadline < Number.POSITIVE_INFINITY)
      this.#deadline = input.now + this.#options.deadlineMs;
    switch (input.kind) {
      case 'progress':
        return [];
      case 'begin':
        return this.#begin(input.now);
      case 'prepared':
        return this.#prepared(input.process);
      case 'saved': {
        const asked = this.#asked.get(input.process);
        if (this.#phase !== 'cutting' || asked?.state !== 'cutting') return [];
        asked.state = 'saved';
        return this.#releaseWhenComplete();
      }
      case 'released':
        return this.#arrived('releasing', input.process) ? this.#collect() : [];
      case 'collected':
        return this.#arrived('collecting', input.process) ? this.#collected() : [];
      case 'committed':
        if (this.#phase !== 'committing') return [];
        return this.#enter('committed', { kind: 'finish', processes: this.participants });
      case 'failed':
        return this.#abort(input.process === undefined ? input.reason : `${input.process}: ${input.reason}`);
      case 'cancel':
        // The manifest may be on disk already: the answer to `commit` decides, not the user.
        return this.#phase === 'committing' ? [] : this.#abort(input.reason);
      case 'tick':
        return input.now >= this.#deadline ? this.#abort(this.#lateness()) : [];
    }
  }

  #begin(now: number): readonly RoundEffect[] {
    const [initiator] = this.#options.processes;
    if (this.#phase !== 'idle' || initiator === undefined) return [];
    this.#deadline = now + this.#options.deadlineMs;
    this.#phase = 'preparing';
    this.#asked.set(initiator, { requests: new Map(), state: 'asked', hasAsked: false, again: false });
    return [this.#prepare([initiator])];
  }

  #prepared(process: ProcessId): readonly RoundEffect[] {
    const asked = this.#asked.get(process);
    if ((this.#phase !== 'preparing' && this.#phase !== 'cutting') || asked?.state !== 'asked') return [];
    this.#phase = 'cutting';
    asked.state = 'cutting';
    return [{ kind: 'start', processes: [process], epoch: this.#options.epoch }];
  }

  /** Notes a request. True when the process has to be asked now. */
  #request(requester: ProcessId, process: ProcessId, label: number): boolean {
    const asked = this.#asked.get(process);
    if (asked === undefined) {
      const requests = new Map([[requester, label]]);
      this.#asked.set(process, { requests, state: 'asked', hasAsked: false, again: false });
      return true;
    }
    // A participant's checkpoint records all that it had sent to those who have cut: it is blocked from its cut until all are released.
    if (asked.state === 'cutting' || asked.state === 'saved') return false;
    asked.requests.set(requester, label);
    if (asked.state === 'asked') {
      asked.again = true;
      return false;
    }
    asked.state = 'asked';
    return true;
  }

  #releaseWhenComplete(): readonly RoundEffect[] {
    for (const { state, hasAsked } of this.#asked.values()) {
      if (state !== 'declined' && !(state === 'saved' && hasAsked)) return [];
    }
    // A task that is to move stays frozen: whoever runs the migration decides when it goes on.
    if (this.#options.keepFrozen) return this.#collect();
    return this.#enter('releasing', { kind: 'release', processes: this.participants });
  }

  #collect(): readonly RoundEffect[] {
    // Everybody runs again: what remains is copying, which may take as long as it takes.
    this.#deadline = Number.POSITIVE_INFINITY;
    return this.#enter('collecting', { kind: 'collect', processes: this.participants });
  }

  #collected(): readonly RoundEffect[] {
    if (!this.#options.keepFrozen) return this.#enter('committing', { kind: 'commit' });
    return this.#enter('handed-over', { kind: 'hand-over', processes: this.participants });
  }

  #prepare(processes: readonly ProcessId[]): RoundEffect {
    return { kind: 'prepare', processes, epoch: this.#options.epoch };
  }

  #enter(phase: RoundPhase, effect: RoundEffect): readonly RoundEffect[] {
    this.#phase = phase;
    this.#missing = new Set(this.participants);
    return [effect];
  }

  /** Notes one participant's answer; true when it was the last one of the phase. Answers of another phase are late duplicates. */
  #arrived(phase: RoundPhase, process: ProcessId): boolean {
    return this.#phase === phase && this.#missing.delete(process) && this.#missing.size === 0;
  }

  #lateness(): string {
    const open = [...this.#asked].filter(([, { state, hasAsked }]) => state !== 'declined' && !hasAsked);
    const names = this.#phase === 'releasing' ? [...this.#missing] : open.map(([name]) => name);
    return `nothing has got on for ${this.#options.deadlineMs / 1000} s while ${this.#phase}; no answer from ${firstFew(names) || 'a process that saves'}`;
  }

  #abort(reason: string): readonly RoundEffect[] {
    if (this.#phase === 'committed' || this.#phase === 'handed-over' || this.#phase === 'aborted') return [];
    const begun = this.#phase !== 'idle';
    this.#phase = 'aborted';
    this.#reason = reason;
    const processes = [...this.#asked].filter(([, { state }]) => state !== 'declined').map(([name]) => name);
    return begun ? [{ kind: 'abort', processes, reason }] : [];
  }
}

/** An algorithm whose participants are found on the way. */
export interface MinimalAlgorithm extends Algorithm, ParticipationRules {
  round(options: RoundOptions): KooTouegRound;
}

/**
 * `sync` with the smallest set of participants, Koo & Toueg 1987. A process that takes no part goes back to its last checkpoint, so what was
 * sent to it since then must be kept by the senders; the paper leaves that to the end-to-end protocol. TCP forgets what is
 * acknowledged, so agents cannot run this without a log: simulator only.
 */
export const kooToueg: MinimalAlgorithm = {
  name: 'koo-toueg',
  interceptor: 'kernel',
  participant: (options) => new KernelParticipant(options, { waitsForRelease: true }),
  round: (options) => new KooTouegRound(options),
  ...kooTouegRules,
};
