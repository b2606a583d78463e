/**
 * One branch of the bank: it sends transfers to all others without pause, and keeps its books.
 * `node branch.js`, settings in the environment (options.ts).
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { serveControl } from './control.ts';
import { BranchFiles } from './files.ts';
import { Gaps } from './gaps.ts';
import { encodeTransfers } from './frame.ts';
import { Ledger } from './ledger.ts';
import type { Debit } from './ledger.ts';
import { readOptions } from './options.ts';
import { Peers } from './peers.ts';
import type { Peer } from './peers.ts';
import type { BranchReport } from './report.ts';

const MAX_ERRORS_KEPT = 50;
const MAX_AMOUNT = 100;
/** After a freeze at most so many ticks' transfers are made up for. */
const MAX_TICKS_OWED = 4;
/** Transfers per turn and peer when the rate has no limit. */
const BURST = 32;
const LOG_TICKS = 10;

const options = readOptions(process.env);
// Made once and kept in memory: after a restore the host's name may be another, this is not.
const id = `${hostname()}-${randomBytes(4).toString('hex')}`;
const ledger = new Ledger(options.initial, options.fault);
const files = new BranchFiles(options.journal, [options.shm, options.layer]);
const gaps = new Gaps();
const errors: string[] = [];
let errorCount = 0;
let paused = false;

function complain(text: string): void {
  errorCount += 1;
  if (errors.length < MAX_ERRORS_KEPT) errors.push(text);
  console.error(JSON.stringify({ at: new Date().toISOString(), id, error: text }));
}

const peers = new Peers(id, options, {
  opened(peer) {
    ledger.open(peer.id);
    // Rate 0 has no ticks: go on as soon as the kernel takes more.
    if (options.ratePerS === 0) peer.socket.on('drain', scheduleBurst);
    scheduleBurst();
  },
  transfer(peer, { seq, amount }) {
    gaps.arrived(peer.id, performance.now());
    const wrong = ledger.credit(peer.id, seq, amount);
    if (wrong !== undefined) complain(wrong);
  },
  readDone(peer) {
    // Read once in a tick only, so that there is regularly something in the kernel's receive queues.
    if (options.ratePerS > 0) peer.socket.pause();
  },
  lost(peer, why) {
    complain(`connection to ${peer.id} lost: ${why}`);
  },
});

/** Sends up to `count` transfers, by turns to all peers whose queue takes more. Returns how many. */
function originate(count: number): number {
  if (paused) return 0;
  const ready = [...peers.all.values()].filter((peer) => peer.open && !peer.socket.writableNeedDrain);
  if (ready.length === 0) return 0;
  const batches = new Map<Peer, Debit[]>();
  let done = 0;
  // Start with another peer each time, or a rate below one transfer a peer and tick would favour the first.
  const first = Math.floor(Math.random() * ready.length);
  for (; done < count; done++) {
    const peer = ready[(first + done) % ready.length];
    if (peer === undefined) break;
    const debit = ledger.debit(peer.id, 1 + Math.floor(Math.random() * MAX_AMOUNT));
    // Poor for the moment: the others send us some.
    if (debit === undefined) break;
    const batch = batches.get(peer) ?? [];
    for (let copy = 0; copy < debit.copies; copy++) batch.push(debit);
    batches.set(peer, batch);
  }
  for (const [peer, batch] of batches) peer.socket.write(encodeTransfers(batch, options.payloadBytes));
  return done;
}

let lastTickMs = performance.now();
let owed = 0;

function tick(): void {
  const nowMs = performance.now();
  // The clock may jump at a restore, both ways.
  const elapsedMs = Math.min(Math.max(nowMs - lastTickMs, 0), MAX_TICKS_OWED * options.tickMs);
  lastTickMs = nowMs;
  owed += (elapsedMs * options.ratePerS) / 1000;
  const count = Math.floor(owed);
  owed -= count;
  originate(count);
  for (const peer of peers.all.values()) if (peer.open) peer.socket.resume();
}

let burstScheduled = false;

function scheduleBurst(): void {
  if (options.ratePerS > 0 || burstScheduled) return;
  burstScheduled = true;
  setImmediate(() => {
    burstScheduled = false;
    // Nothing sent: all queues are full, and their drain brings us back. Short of money or paused: the second's tick does.
    if (originate(BURST * peers.all.size) > 0) scheduleBurst();
  });
}

function report(withFiles: boolean): BranchReport {
  return {
    id,
    service: options.service,
    initial: ledger.initial,
    balance: ledger.balance,
    paused,
    expectedPeers: peers.expected,
    channels: [...peers.all.values()].map((peer) => ({
      peer: peer.id,
      open: peer.open,
      queuedBytes: peer.socket.writableLength,
      ...ledger.books(peer.id),
    })),
    errorCount,
    errors,
    ticks: files.ticks,
    worstGapMs: Math.round(gaps.worst(performance.now())),
    ...(withFiles ? { fileProblems: files.problems() } : {}),
  };
}

function everySecond(): void {
  const { channels } = report(false);
  const sent = channels.reduce((sum, { sentCount }) => sum + sentCount, 0);
  const received = channels.reduce((sum, { receivedCount }) => sum + receivedCount, 0);
  const line = JSON.stringify({ sent, received, balance: ledger.balance });
  files.tick(line);
  scheduleBurst();
  if (files.ticks % LOG_TICKS === 0) {
    console.log(
      JSON.stringify({ at: new Date().toISOString(), id, peers: channels.length, sent, received, errorCount }),
    );
  }
}

function setPaused(next: boolean): void {
  paused = next;
  scheduleBurst();
}

// As process 1 of a container, node gets no default action for these.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0));

console.log(JSON.stringify({ at: new Date().toISOString(), id, service: options.service, expected: peers.expected }));
serveControl({ setPaused, report, resetGap: () => gaps.reset(performance.now()) }, options.controlPort, options.host);
peers.start();
setInterval(everySecond, 1000);
if (options.ratePerS > 0) setInterval(tick, options.tickMs);
