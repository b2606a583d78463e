/** What kind of thing went wrong; decides the exit code (docs/cli.md). */
export type ErrorCode =
  | 'usage' // the command line or a compose file is wrong; nothing was done
  | 'not-found' // no such stack, node, snapshot, task
  | 'conflict' // a round already runs, services disagree, a name is taken
  | 'unreachable' // an agent, the engine
  | 'precondition' // a node cannot do this: CRIU too old, too little memory or disk
  | 'damaged' // a snapshot's parts are missing or have another hash; the cut condition does not hold
  | 'failed' // a step failed (dump, restore …); everything was put back
  | 'interrupted' // the user or a deadline stopped it; everything was put back
  | 'internal';

export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  internal: 1,
  usage: 2,
  'not-found': 3,
  conflict: 4,
  unreachable: 5,
  precondition: 6,
  damaged: 7,
  failed: 8,
  interrupted: 130,
};

/** Where an error happened, as far as known. */
export interface ErrorPlace {
  readonly stack?: string;
  readonly node?: string;
  readonly service?: string;
  readonly slot?: string;
  readonly file?: string;
  readonly line?: number;
}

export interface ErrorDetails {
  readonly where?: ErrorPlace;
  /** What the user can do about it. */
  readonly advice?: string;
  readonly cause?: unknown;
}

/** The one error class that reaches users: what failed, where, why (the message says both), and what to do. */
export class SwarmcutError extends Error {
  override readonly name = 'SwarmcutError';
  readonly code: ErrorCode;
  readonly where: ErrorPlace;
  readonly advice: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.where = details.where ?? {};
    this.advice = details.advice;
  }

  get exitCode(): number {
    return EXIT_CODES[this.code];
  }

  /** `node n2, bank_branch-a.1`: empty when nothing is known. */
  get place(): string {
    const { stack, node, service, slot, file, line } = this.where;
    const parts: string[] = [];
    if (file !== undefined) parts.push(line === undefined ? file : `${file}:${line}`);
    if (stack !== undefined) parts.push(`stack ${stack}`);
    if (node !== undefined) parts.push(`node ${node}`);
    if (service !== undefined) parts.push(slot === undefined ? `service ${service}` : `task ${service}.${slot}`);
    return parts.join(', ');
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
