/** The checker's side of the control protocol, and the audit in two phases. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { absent, directions, judgeAtRest, ownErrors, wentBack } from './judge.ts';
import type { BranchReport, ControlOp } from '../report.ts';

const POLL_MS = 25;
/** For a connection, and for the first answer: a frozen task accepts and says nothing. */
const CONNECT_TIMEOUT_MS = 2000;
const REACH_PAUSE_MS = 300;
/** For those that answer a little later than enough others. */
const GRACE_MS = 200;

/** Some branch could not be asked. Not a violation: nothing is known about the money. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

/** A connection to the control port of one branch. One request at a time. */
export class Control {
  readonly address: string;
  private readonly socket: Socket;
  private readonly lines: AsyncIterator<string>;

  private constructor(address: string, socket: Socket) {
    this.address = address;
    this.socket = socket;
    this.lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  /** @throws Unreachable if nothing listens there, or it does not answer in time. */
  static connect(host: string, port: number): Promise<Control> {
    const address = `${host}:${port}`;
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port });
      const fail = (why: string): void => {
        socket.destroy();
        reject(new Unreachable(`${address}: ${why}`));
      };
      const timer = setTimeout(() => fail(`no answer in ${CONNECT_TIMEOUT_MS} ms`), CONNECT_TIMEOUT_MS);
      socket.once('connect', () => {
        clearTimeout(timer);
        // From here a failure shows as a request without an answer.
        socket.on('error', () => undefined);
        resolve(new Control(address, socket));
      });
      socket.once('error', (error) => {
        clearTimeout(timer);
        fail(error.message);
      });
    });
  }

  /** @throws Unreachable if the connection has ended or ends, or there is no answer within `timeoutMs`: then it is of no more use. */
  async request(op: ControlOp, timeoutMs: number): Promise<BranchReport> {
    if (this.socket.destroyed) throw this.unreachable(`the connection has ended, "${op}" was not asked`);
    this.socket.write(`${JSON.stringify({ op })}\n`);
    const answered = new AbortController();
    const late = sleep(timeoutMs, 'late' as const, { signal: answered.signal }).catch(() => 'late' as const);
    // Beside the answer, not instead of it: readline's iterator does not end when its socket is destroyed.
    const line = await Promise.race([this.lines.next().catch(() => undefined), late]);
    answered.abort();
    if (line !== 'late' && line?.done === false) {
      try {
        return JSON.parse(line.value) as BranchReport;
      } catch {
        this.close();
        throw this.unreachable(`its answer to "${op}" is not JSON`);
      }
    }
    this.close();
    throw this.unreachable(
      line === 'late'
        ? `it accepts, but does not answer "${op}" in ${timeoutMs} ms: frozen, or it hangs`
        : `the connection ended without an answer to "${op}"`,
    );
  }

  private unreachable(why: string): Unreachable {
    return new Unreachable(`${this.address}: ${why}`);
  }

  close(): void {
    this.socket.destroy();
  }
}

/** How far a checker goes. */
export interface AuditLimits {
  /** For finding all branches, and again for the queues to become empty. */
  readonly timeoutMs: number;
  /** Branches that there must be at least. */
  readonly expected: number;
}

/**
 * What has become of the attempts when all are settled, or some time after as many as are wanted have succeeded: for a while after a restore
 * names also lead to where nobody answers any more. Those that succeed later are closed.
 */
async function enough(attempts: readonly Promise<Control>[], wanted: number): Promise<PromiseSettledResult<Control>[]> {
  const settled: PromiseSettledResult<Control>[] = [];
  let over = false;
  const all = attempts.map(async (attempt) => {
    const [result] = await Promise.allSettled([attempt]);
    if (!over) settled.push(result);
    else if (result.status === 'fulfilled') result.value.close();
  });
  const wait = new AbortController();
  const sufficient = async (): Promise<void> => {
    while (settled.filter(({ status }) => status === 'fulfilled').length < wanted)
      await sleep(POLL_MS, undefined, { signal: wait.signal });
    await sleep(GRACE_MS, undefined, { signal: wait.signal });
  };
  await Promise.race([Promise.all(all), sufficient().catch(() => undefined)]);
  wait.abort();
  over = true;
  return settled;
}

/**
 * Connects to the branches at the addresses that `list` gives, until there are as many as expected and they know no
 * peer that is not among them. Asks `list` again while that is not so: Swarm's DNS may lag behind a restore.
 * @throws Unreachable naming who is missing; but if those reached report errors already, they are returned as they are.
 */
export async function reach(
  list: () => Promise<[host: string, port: number][]>,
  limits: AuditLimits,
): Promise<Control[]> {
  const deadlineMs = performance.now() + limits.timeoutMs;
  for (;;) {
    const addresses = await list();
    const tried = await enough(
      addresses.map(([host, port]) => Control.connect(host, port)),
      limits.expected,
    );
    const connected = tried.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const { controls, asked } = await introduce(connected);
    const reports = asked.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const lost = absent(reports);
    const complete =
      reports.length >= limits.expected &&
      lost.length === 0 &&
      reports.every(({ channels, expectedPeers }) => channels.length >= expectedPeers);
    if (complete || (performance.now() > deadlineMs && ownErrors(reports).length > 0)) {
      return controls.filter((control, index) => asked[index]?.status === 'fulfilled' || close(control));
    }
    controls.forEach(close);
    if (performance.now() > deadlineMs) {
      const failed = [...tried, ...asked].flatMap((result) =>
        result.status === 'rejected' ? [String(result.reason)] : [],
      );
      const unknown = lost.map((id) => `${id} is a peer of the others but was not found`);
      throw new Unreachable(
        [
          `reached ${reports.length} branches of ${limits.expected}, not all of them connected`,
          ...failed,
          ...unknown,
        ].join('; '),
      );
    }
    await sleep(REACH_PAUSE_MS);
  }
}

/**
 * Asks each for its status. Of connections that have ended at the same task, one stays: for a moment after a restore, names lead to former
 * addresses, too, and these to where the task is now. Two tasks with one identity have two addresses.
 */
async function introduce(
  connected: readonly Control[],
): Promise<{ controls: Control[]; asked: PromiseSettledResult<BranchReport>[] }> {
  const asked = await Promise.allSettled(connected.map((control) => control.request('status', CONNECT_TIMEOUT_MS)));
  const met = new Set<string>();
  const kept = connected.map((control, index) => {
    const answer = asked[index];
    if (answer?.status !== 'fulfilled') return true;
    const task = `${answer.value.id} at ${answer.value.address ?? control.address}`;
    if (met.has(task)) return close(control);
    met.add(task);
    return true;
  });
  return { controls: connected.filter((_, index) => kept[index]), asked: asked.filter((_, index) => kept[index]) };
}

function close(control: Control): false {
  control.close();
  return false;
}

/** What an audit found. `violations` is empty if the bank is in order. */
export interface AuditResult {
  readonly violations: string[];
  readonly reports: BranchReport[];
}

/**
 * Stops all transfers, waits until nothing is under way, compares all books, lets the bank go on.
 * It ends early if a branch has received more than its peer has sent: no waiting mends that.
 * @throws Unreachable if a branch stops answering.
 */
export async function audit(controls: readonly Control[], limits: AuditLimits): Promise<AuditResult> {
  const askAll = (op: ControlOp): Promise<BranchReport[]> =>
    Promise.all(controls.map((control) => control.request(op, limits.timeoutMs)));
  const before = await askAll('pause');
  const deadlineMs = performance.now() + limits.timeoutMs;
  for (let reports = before; performance.now() < deadlineMs; reports = await askAll('status')) {
    const open = directions(reports).filter(
      ({ sent, received }) =>
        sent.open && received.open && sent.sentCount !== received.receivedCount + received.missing,
    );
    if (open.every(({ sent, received }) => received.receivedCount > sent.sentCount)) break;
    await sleep(POLL_MS);
  }
  const reports = await askAll('report');
  await askAll('resume');
  return { reports, violations: [...twins(reports), ...judgeAtRest(reports), ...wentBack(before, reports)] };
}

/** Two tasks with one identity: a restored task runs beside the one that it was made from. */
function twins(reports: readonly BranchReport[]): string[] {
  const ids = reports.map(({ id }) => id);
  return ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `${id} runs twice`);
}
