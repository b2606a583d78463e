/**
 * A client that counts in redis over one connection and knows what each reply must be. It is the only writer, so a
 * counter or a key that is not as it left them was lost, or came back from another moment.
 * Environment: REDIS_SERVER (redis), REDIS_PORT (6379), REDIS_PERIOD_MS (5; 0: as fast as it can), REDIS_KEYS (1000),
 * REDIS_FILL_MB (0: megabytes of data to put in first), and those of ../pair/status.ts.
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { StatusBoard } from '../pair/status.ts';
import { encodeCommand, replyReader } from './resp.ts';
import type { Reply } from './resp.ts';

const REDIAL_MS = 300;
const COUNTER = 'swarmcut:counter';
const FILL_BYTES = 64 * 1024;

const { REDIS_SERVER: host = 'redis', REDIS_PORT: port = '6379' } = process.env;
const periodMs = Number(process.env.REDIS_PERIOD_MS ?? 5);
const keys = Number(process.env.REDIS_KEYS ?? 1000);
const fillMb = Number(process.env.REDIS_FILL_MB ?? 0);
const board = new StatusBoard('redis-client');
let everConnected = false;
/** The counter's value in redis, as this client has left it; undefined before the first look. */
let count: number | undefined;

/** Sends commands on one connection and gives each its reply, in order. */
class Connection {
  readonly socket: Socket;
  private readonly waiting: ((reply: Reply) => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    const read = replyReader();
    socket.on('data', (bytes) => {
      try {
        for (const reply of read(bytes)) {
          const take = this.waiting.shift();
          if (take === undefined) board.error(`a reply that nobody asked for: ${String(reply)}`);
          else take(reply);
        }
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  /** Sends the commands in one write; resolves with all replies. Never resolves if the connection ends. */
  ask(...commands: readonly string[]): Promise<Reply[]> {
    const replies = commands.map(() => new Promise<Reply>((resolve) => this.waiting.push(resolve)));
    this.socket.write(commands.join(''));
    return Promise.all(replies);
  }
}

function must(what: string, reply: Reply | undefined, expected: Reply): void {
  if (reply !== expected) board.error(`${what}: got ${String(reply)}, expected ${String(expected)}`);
}

/** Puts random data in, once: what an earlier run or client has put in stays. */
async function fill(connection: Connection): Promise<void> {
  const parts = Math.ceil((fillMb * 1024 * 1024) / FILL_BYTES);
  for (let part = 0; part < parts; part++) {
    const value = randomBytes(FILL_BYTES / 2).toString('hex');
    const [reply] = await connection.ask(encodeCommand('SET', `fill:${part}`, value));
    must(`SET fill:${part}`, reply, 'OK');
  }
}

/** The counter's value in redis, when it has loaded what is in its volume. */
async function stored(connection: Connection): Promise<number> {
  for (;;) {
    const [reply] = await connection.ask(encodeCommand('GET', COUNTER));
    if (!(reply instanceof Error)) return Number(reply ?? 0);
    if (!reply.message.startsWith('LOADING')) board.error(`GET ${COUNTER}: ${reply.message}`);
    await sleep(REDIAL_MS);
  }
}

/** Where the counter stands. Only at the first connection may it be anything. */
async function begin(connection: Connection): Promise<number> {
  const found = await stored(connection);
  if (count === undefined) await fill(connection);
  // The last INCR may have been done and its reply lost.
  else if (found !== count && found !== count + 1) {
    board.error(`after the reconnect: ${COUNTER} is ${found}, was left at ${count}`);
  }
  return found;
}

/** One round: count, write a key, read back the key, and one written a while ago. */
async function round(connection: Connection, from: number): Promise<void> {
  const n = from + 1;
  const key = `key:${n % keys}`;
  const older = n - Math.floor(keys / 2);
  const [incremented, set, got, gotOlder] = await connection.ask(
    encodeCommand('INCR', COUNTER),
    encodeCommand('SET', key, n),
    encodeCommand('GET', key),
    encodeCommand('GET', `key:${older % keys}`),
  );
  must(`INCR ${COUNTER}`, incremented, n);
  must(`SET ${key}`, set, 'OK');
  must(`GET ${key}`, got, String(n));
  // A connection lost between INCR and SET leaves keys behind that are not the last ones: only look at our own.
  if (older > firstWritten) must(`GET key:${older % keys}`, gotOlder, String(older));
  count = typeof incremented === 'number' ? incremented : n;
  board.answered(count);
}

let firstWritten = 0;

async function work(connection: Connection): Promise<void> {
  count = await begin(connection);
  firstWritten = count + 1;
  while (!connection.socket.destroyed) {
    await round(connection, count);
    if (periodMs > 0) await sleep(periodMs);
  }
}

function run(): void {
  let reason = 'closed by the other end';
  const socket = connect({ host, port: Number(port), family: 4 });
  socket.setNoDelay(true);
  socket.on('connect', () => {
    if (everConnected) board.reconnects += 1;
    everConnected = true;
    board.connected();
    void work(new Connection(socket));
  });
  socket.on('error', (error) => {
    reason = error.message;
  });
  socket.on('close', () => {
    if (board.connectedSinceMs !== null) board.error(`connection lost at ${String(count)}: ${reason}`);
    board.connectedSinceMs = null;
    setTimeout(run, REDIAL_MS);
  });
}

run();
board.publish();
