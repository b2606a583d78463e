/** The books of one branch: its balance, and what went out and came in per channel. No I/O. */

/** A fault to commit once, for tests of the checker: at the transfer with this number, on the first channel to reach it. */
export interface Fault {
  /**
   * `lose`: debited, never sent. `repeat`: sent twice. `skip`: received, not credited, and nobody told.
   * `twice`: credited twice, and nobody told.
   */
  readonly kind: 'lose' | 'repeat' | 'skip' | 'twice';
  readonly seq: number;
}

/** The books of one connection, as its branch sees them. Sums are of amounts; counts and sums never go back. */
export interface ChannelBooks {
  sentCount: number;
  sentSum: number;
  receivedCount: number;
  receivedSum: number;
  /** Numbers that were jumped over. */
  missing: number;
  /** Numbers that came again. */
  duplicate: number;
}

interface Account extends ChannelBooks {
  nextReceived: number;
}

/** A transfer debited, and how many times to send it: once, unless a fault was asked for. */
export interface Debit {
  readonly seq: number;
  readonly amount: number;
  readonly copies: number;
}

/**
 * Balance and channel books of one branch. Money is made only here, at construction; a transfer is debited when it is
 * sent and credited when it is received, so between the two it exists only on the channel.
 */
export class Ledger {
  readonly initial: number;
  private current: number;
  private readonly accounts = new Map<string, Account>();
  private fault: Fault | undefined;

  constructor(initial: number, fault?: Fault) {
    this.initial = initial;
    this.current = initial;
    this.fault = fault;
  }

  get balance(): number {
    return this.current;
  }

  /** Opens the books for a peer. A peer has one connection in its life: a second one would restart the numbers. */
  open(peer: string): void {
    if (this.accounts.has(peer)) throw new Error(`peer ${peer} has an account already`);
    this.accounts.set(peer, {
      sentCount: 0,
      sentSum: 0,
      receivedCount: 0,
      receivedSum: 0,
      missing: 0,
      duplicate: 0,
      nextReceived: 1,
    });
  }

  /** Books a transfer to `peer`; undefined if the balance does not cover it. */
  debit(peer: string, amount: number): Debit | undefined {
    if (amount > this.current) return undefined;
    const account = this.account(peer);
    this.current -= amount;
    account.sentCount += 1;
    account.sentSum += amount;
    const seq = account.sentCount;
    if (this.commits('lose', seq)) return { seq, amount, copies: 0 };
    return { seq, amount, copies: this.commits('repeat', seq) ? 2 : 1 };
  }

  /**
   * Books a transfer from `peer`. Returns what is wrong with its number, or undefined.
   * A number that came before is not credited again; one that jumps ahead is credited, and those jumped over are missing.
   */
  credit(peer: string, seq: number, amount: number): string | undefined {
    const account = this.account(peer);
    const expected = account.nextReceived;
    if (seq < expected) {
      account.duplicate += 1;
      return `transfer ${seq} from ${peer} came again (expected ${expected})`;
    }
    account.nextReceived = seq + 1;
    if (this.commits('skip', seq)) return undefined;
    this.current += this.commits('twice', seq) ? 2 * amount : amount;
    account.receivedCount += 1;
    account.receivedSum += amount;
    if (seq === expected) return undefined;
    account.missing += seq - expected;
    return `transfers ${expected}..${seq - 1} from ${peer} are missing (got ${seq})`;
  }

  /** A copy of the books of `peer`. */
  books(peer: string): ChannelBooks {
    const { nextReceived: _, ...books } = this.account(peer);
    return books;
  }

  private account(peer: string): Account {
    const account = this.accounts.get(peer);
    if (account === undefined) throw new Error(`peer ${peer} has no account`);
    return account;
  }

  private commits(kind: Fault['kind'], seq: number): boolean {
    if (this.fault?.kind !== kind || this.fault.seq !== seq) return false;
    this.fault = undefined;
    return true;
  }
}
