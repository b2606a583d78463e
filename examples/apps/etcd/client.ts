/**
 * A client of three members of etcd through their HTTP gateways: writes a number with one member, reads it with the next, which must know it
 * already, on connections that are kept; and new connections all the time. Environment: APP_MEMBERS (`host …`), APP_PORT, ../common/traffic.ts.
 */
import { board, checked, forEver, againAndAgain, must, pause, port } from '../common/traffic.ts';
import { dial } from '../common/wire.ts';
import type { Wire } from '../common/wire.ts';

const members = (process.env.APP_MEMBERS ?? 'etcd-1 etcd-2 etcd-3').split(' ');

/** As far as the gateway's answers are looked at. */
interface Answer {
  readonly header?: { readonly revision?: string };
  readonly kvs?: readonly { readonly value?: string; readonly version?: string }[];
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

async function call(wire: Wire, what: 'put' | 'range', body: object): Promise<Answer> {
  const text = JSON.stringify(body);
  wire.send(`POST /v3/kv/${what} HTTP/1.1\r\nHost: etcd\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
  const status = await wire.line();
  let length = 0;
  for (let line = await wire.line(); line !== ''; line = await wire.line()) {
    const [name = '', value] = line.split(':');
    if (name.toLowerCase() === 'content-length') length = Number(value);
  }
  const answer = (await wire.bytes(length)).toString('utf8');
  if (!status.includes(' 200 ')) throw new Error(`${what}: ${status} ${answer.slice(0, 200)}`);
  return JSON.parse(answer) as Answer;
}

async function put(wire: Wire, key: string, value: string): Promise<number> {
  return Number((await call(wire, 'put', { key: base64(key), value: base64(value) })).header?.revision);
}

async function get(wire: Wire, key: string): Promise<string> {
  const { kvs } = await call(wire, 'range', { key: base64(key) });
  return Buffer.from(kvs?.[0]?.value ?? '', 'base64').toString('utf8');
}

members.forEach((member, at) => {
  const other = members[(at + 1) % members.length] ?? member;
  forEver(member, async () => {
    const [writer, reader] = await Promise.all([dial(member, port), dial(other, port)]);
    try {
      let revision = 0;
      for (let n = 1; ; n++) {
        const now = await put(writer, `key-${member}`, String(n));
        if (!(now > revision)) board.error(`${member}: revision ${now} after ${revision}`);
        revision = now;
        must(`${member} by ${other}`, await get(reader, `key-${member}`), String(n));
        checked(member);
        await pause();
      }
    } finally {
      writer.destroy();
      reader.destroy();
    }
  });
});

againAndAgain('new connections', async (turn) => {
  const wire = await dial(members[turn % members.length] ?? '', port);
  try {
    await put(wire, 'fresh', String(turn));
    must('fresh', await get(wire, 'fresh'), String(turn));
  } finally {
    wire.end();
  }
});

board.publish();
