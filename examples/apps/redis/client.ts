/**
 * A client of redis that knows what each reply must be: batches of pipelined commands on one connection, numbered messages published on one
 * and subscribed to on another, and new connections all the time. Environment: ../common/traffic.ts.
 */
import { encodeCommand } from '../../redis/resp.ts';
import { board, checked, lasting, must, passing, pause } from '../common/traffic.ts';
import type { Wire } from '../common/wire.ts';

const BATCH = 32;
const CHANNEL = 'numbers';

type Reply = string | number | null | readonly Reply[];

async function reply(wire: Wire): Promise<Reply> {
  const line = await wire.line();
  const rest = line.slice(1);
  switch (line.charAt(0)) {
    case '+':
      return rest;
    case ':':
      return Number(rest);
    case '$': {
      if (Number(rest) < 0) return null;
      return (await wire.bytes(Number(rest) + 2)).toString('utf8').slice(0, -2);
    }
    case '*': {
      const items: Reply[] = [];
      for (let left = Number(rest); left > 0; left--) items.push(await reply(wire));
      return items;
    }
    default:
      throw new Error(`not a reply: ${line}`);
  }
}

/** Where the counters stand in the server. */
let count = 0;
let published = 0;
let received = 0;
let subscribed = false;

lasting('pipeline', async (wire) => {
  wire.send(encodeCommand('SET', 'count', count));
  await reply(wire);
  for (;;) {
    const commands = [];
    for (let at = 1; at <= BATCH; at++) {
      const n = count + at;
      commands.push(
        encodeCommand('INCR', 'count'),
        encodeCommand('SET', `k:${n % 1000}`, n),
        encodeCommand('GET', `k:${n % 1000}`),
      );
    }
    wire.send(commands.join(''));
    for (let at = 1; at <= BATCH; at++) {
      const n = count + 1;
      must('INCR', String(await reply(wire)), String(n));
      must('SET', String(await reply(wire)), 'OK');
      must('GET', String(await reply(wire)), String(n));
      count = n;
    }
    checked('pipeline');
    await pause();
  }
});

lasting('subscribe', async (wire) => {
  wire.send(encodeCommand('SUBSCRIBE', CHANNEL));
  must('SUBSCRIBE', JSON.stringify(await reply(wire)), JSON.stringify(['subscribe', CHANNEL, 1]));
  received = published;
  subscribed = true;
  for (;;) {
    const message = await reply(wire);
    must('message', JSON.stringify(message), JSON.stringify(['message', CHANNEL, String(received + 1)]));
    received += 1;
    checked('subscribe');
  }
});

lasting('publish', async (wire) => {
  for (;;) {
    // Not too far ahead of the subscriber, whose connection may be slower.
    if (subscribed && published - received < 100) {
      wire.send(encodeCommand('PUBLISH', CHANNEL, published + 1));
      published += 1;
      must('PUBLISH', String(await reply(wire)), '1');
      checked('publish');
    }
    await pause();
  }
});

passing('new connections', async (wire, turn) => {
  wire.send(encodeCommand('SET', 'fresh', turn) + encodeCommand('GET', 'fresh') + encodeCommand('QUIT'));
  must('SET', String(await reply(wire)), 'OK');
  must('GET', String(await reply(wire)), String(turn));
  must('QUIT', String(await reply(wire)), 'OK');
});

board.publish();
