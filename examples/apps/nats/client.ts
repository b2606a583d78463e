/**
 * A client of NATS: numbered messages from one connection to another, requests that a third one answers, and new connections all the time.
 * Environment: ../common/traffic.ts.
 */
import { board, checked, lasting, must, passing, pause } from '../common/traffic.ts';
import type { Wire } from '../common/wire.ts';

async function greet(wire: Wire): Promise<void> {
  const info = await wire.line();
  if (!info.startsWith('INFO ')) throw new Error(info);
  wire.send('CONNECT {"verbose":false,"pedantic":true,"lang":"none","version":"0"}\r\nPING\r\n');
  must('PONG', await next(wire), 'PONG');
}

/** The next line that is not the server's ping. */
async function next(wire: Wire): Promise<string> {
  for (;;) {
    const line = await wire.line();
    if (line !== 'PING') return line;
    wire.send('PONG\r\n');
  }
}

async function message(wire: Wire): Promise<{ reply: string; text: string }> {
  const line = await next(wire);
  const words = line.split(' ');
  if (words[0] !== 'MSG') throw new Error(line);
  const text = (await wire.bytes(Number(words.at(-1)) + 2)).toString('latin1').slice(0, -2);
  return { reply: words.length > 4 ? (words[3] ?? '') : '', text };
}

function publish(subject: string, text: string, reply = ''): string {
  return `PUB ${subject} ${reply === '' ? '' : `${reply} `}${text.length}\r\n${text}\r\n`;
}

let published = 0;
let received = 0;
let subscribed = false;

lasting('subscribe', async (wire) => {
  await greet(wire);
  wire.send('SUB numbers 1\r\nPING\r\n');
  must('PONG', await next(wire), 'PONG');
  received = published;
  subscribed = true;
  for (;;) {
    must('message', (await message(wire)).text, String(received + 1));
    received += 1;
    checked('subscribe');
  }
});

lasting('publish', async (wire) => {
  await greet(wire);
  for (;;) {
    // The server's ping is answered in between.
    if (subscribed && published - received < 100) {
      wire.send(`${publish('numbers', String(published + 1))}PING\r\n`);
      published += 1;
      must('PONG', await next(wire), 'PONG');
      checked('publish');
    }
    await pause();
  }
});

let answering = false;

lasting('answers', async (wire) => {
  await greet(wire);
  wire.send('SUB squares 1\r\nPING\r\n');
  must('PONG', await next(wire), 'PONG');
  answering = true;
  for (;;) {
    const { reply, text } = await message(wire);
    wire.send(publish(reply, String(Number(text) ** 2)));
    checked('answers');
  }
});

passing('new connections', async (wire, turn) => {
  if (!answering) throw new Error('nobody answers yet');
  await greet(wire);
  wire.send(`SUB inbox.${turn} 1\r\n${publish('squares', String(turn), `inbox.${turn}`)}`);
  must('answer', (await message(wire)).text, String(turn ** 2));
});

board.publish();
