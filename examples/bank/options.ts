/** Settings of a branch, from its environment. */
import type { Fault } from './ledger.ts';
import { MAX_PAYLOAD_BYTES } from './frame.ts';

/** A service of the bank and its number of tasks. */
export interface BranchGroup {
  /** Service name, or an address. */
  readonly name: string;
  readonly tasks: number;
}

export interface BranchOptions {
  /** BANK_SERVICE: own service's name, for people. */
  readonly service: string;
  /** BANK_BRANCHES: `name[:tasks]`, separated by spaces; all services of the bank, own included. */
  readonly branches: readonly BranchGroup[];
  /** BANK_HOST: address to listen on. IPv4 only by default, or accepted sockets would be IPv6 ones with mapped addresses. */
  readonly host: string;
  /** BANK_PORT: port for transfers. */
  readonly port: number;
  /** BANK_CONTROL_PORT: port for the checker. */
  readonly controlPort: number;
  /** BANK_INITIAL: balance at the start. */
  readonly initial: number;
  /** BANK_RATE: transfers a second that this branch originates; 0: as many as it can. */
  readonly ratePerS: number;
  /** BANK_PAYLOAD: padding of a transfer in bytes. */
  readonly payloadBytes: number;
  /** BANK_TICK_MS: transfers are originated, and sockets read, once in so many milliseconds (not with rate 0). */
  readonly tickMs: number;
  /** BANK_JOURNAL, BANK_SHM, BANK_LAYER: files to keep; empty for none. */
  readonly journal: string;
  readonly shm: string;
  readonly layer: string;
  /** BANK_FAULT: `lose|repeat|skip|twice:<number>`, for tests of the checker. */
  readonly fault?: Fault;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads BANK_BRANCHES. @throws Error if a count is not a whole number above 0. */
export function parseBranches(text: string): BranchGroup[] {
  return text
    .split(/[\s,]+/)
    .filter((word) => word !== '')
    .map((word) => {
      const [name = '', count] = word.split(':');
      const tasks = Number(count ?? 1);
      if (name === '' || !Number.isInteger(tasks) || tasks < 1) {
        throw new Error(`BANK_BRANCHES: "${word}" is not name[:tasks]`);
      }
      return { name, tasks };
    });
}

/** Reads all settings. @throws Error naming the variable that cannot be used. */
export function readOptions(env: Environment): BranchOptions {
  const number = (name: string, fallback: number, max = Number.MAX_SAFE_INTEGER): number => {
    const value = env[name] === undefined || env[name] === '' ? fallback : Number(env[name]);
    if (Number.isInteger(value) && value >= 0 && value <= max) return value;
    throw new Error(`${name}: "${String(env[name])}" is not a whole number from 0 to ${max}`);
  };
  const fault = parseFault(env.BANK_FAULT ?? '');
  return {
    service: env.BANK_SERVICE ?? 'branch',
    branches: parseBranches(env.BANK_BRANCHES ?? 'branch-a branch-b branch-c'),
    host: env.BANK_HOST ?? '0.0.0.0',
    port: number('BANK_PORT', 9000, 65535),
    controlPort: number('BANK_CONTROL_PORT', 9100, 65535),
    initial: number('BANK_INITIAL', 1_000_000),
    ratePerS: number('BANK_RATE', 2000, 1_000_000),
    payloadBytes: number('BANK_PAYLOAD', 256, MAX_PAYLOAD_BYTES),
    tickMs: Math.max(1, number('BANK_TICK_MS', 5, 1000)),
    journal: env.BANK_JOURNAL ?? '/data/journal',
    shm: env.BANK_SHM ?? '/dev/shm/bank-ticks',
    layer: env.BANK_LAYER ?? '/var/tmp/bank-ticks',
    ...(fault === undefined ? {} : { fault }),
  };
}

function parseFault(text: string): Fault | undefined {
  if (text === '') return undefined;
  const match = /^(lose|repeat|skip|twice):([1-9]\d*)$/.exec(text);
  if (match === null) throw new Error(`BANK_FAULT: "${text}" is not lose|repeat|skip|twice:<number>`);
  return { kind: match[1] as Fault['kind'], seq: Number(match[2]) };
}
