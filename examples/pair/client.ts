/**
 * The pair's client: sends a number, waits for it to come back, measures the time between one answer and the next.
 * Environment: PAIR_SERVER (server), PAIR_PORT (7000), PAIR_PERIOD_MS (5; 0: as fast as it can), PAIR_PROBE_MS (2000), and
 * those of status.ts.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { lineReader } from './lines.ts';
import { StatusBoard } from './status.ts';

/** Pause before a connection is made again. */
const REDIAL_MS = 300;
/** Numbers under way at most, so that a long stop does not fill the queues. */
const MAX_UNDER_WAY = 16;

const { PAIR_SERVER: host = 'server', PAIR_PORT: port = '7000' } = process.env;
const periodMs = Number(process.env.PAIR_PERIOD_MS ?? 5);
const probeMs = Number(process.env.PAIR_PROBE_MS ?? 2000);
const board = new StatusBoard('pair-client');
/** The next number to send, and the next one to come back. They go on over a lost connection. */
let next = 0;
let expected = 0;
let everConnected = false;

function send(socket: Socket): void {
  socket.write(`${next}\n`);
  next += 1;
}

/** Checks an answer. An answer that never came shows by the one after it. */
function check(line: string): void {
  const n = Number(line);
  if (n > expected) board.error(`missing: ${expected}..${n - 1} (got ${n})`);
  else if (n < expected) board.error(`duplicate: ${n} (expected ${expected})`);
  else if (n !== expected) board.error(`not a number: "${line}"`);
  if (n >= expected) expected = n + 1;
  board.answered(n);
}

function run(): void {
  const read = lineReader();
  let pause: NodeJS.Timeout | undefined;
  let reason = 'closed by the other end';
  const socket = connect({ host, port: Number(port), family: 4 });
  // Without an answer for long, send the next number: if the answer was only late, both come and nothing is wrong.
  const probe = setInterval(() => {
    if (next > expected && next - expected < MAX_UNDER_WAY) send(socket);
  }, probeMs);
  socket.setNoDelay(true);
  socket.on('connect', () => {
    if (everConnected) board.reconnects += 1;
    everConnected = true;
    board.connected();
    expected = next;
    send(socket);
  });
  socket.on('data', (bytes) => {
    try {
      for (const line of read(bytes)) {
        probe.refresh();
        check(line);
      }
    } catch (error) {
      reason = String(error);
      socket.destroy();
      return;
    }
    if (next > expected || pause !== undefined) return;
    if (periodMs === 0) {
      send(socket);
      return;
    }
    pause = setTimeout(() => {
      pause = undefined;
      send(socket);
    }, periodMs);
  });
  socket.on('error', (error) => {
    reason = error.message;
  });
  socket.on('close', () => {
    clearInterval(probe);
    clearTimeout(pause);
    // Before the first connection the server may not be up yet. After it, the connection was to live for ever.
    if (board.connectedSinceMs !== null) board.error(`connection lost after ${expected - 1}: ${reason}`);
    board.connectedSinceMs = null;
    setTimeout(run, REDIAL_MS);
  });
}

run();
board.publish();
