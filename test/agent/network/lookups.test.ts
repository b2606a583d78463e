import { createSocket, type Socket } from 'node:dgram';
import { afterEach, expect, it } from 'vitest';
import { Lookups } from '../../../agent/network/lookups.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

/** Nobody listens there, but that shows only when something is sent. */
async function connected(address: string): Promise<Socket> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.connect(53, address, resolve));
  sockets.push(socket);
  return socket;
}

it('waits until a lookup has ended', async () => {
  // As of a program that looks up one name after the other: no socket stays.
  let lookup = await connected('127.0.0.11');
  let ended = false;
  const waiting = new Lookups(process.pid).end().then(() => (ended = true));
  for (let turn = 0; turn < 10; turn++) {
    const next = await connected('127.0.0.11');
    lookup.close();
    sockets.splice(sockets.indexOf(lookup), 1);
    lookup = next;
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(ended).toBe(false);
  }
  lookup.close();
  sockets.splice(0);
  await waiting;
});

it('does not wait for a socket that is kept, nor for other servers', async () => {
  await connected('127.0.0.11');
  const lookups = new Lookups(process.pid);
  expect(await lookups.underWay()).toBe(true);
  await lookups.end();
  await connected('127.0.0.12');
  expect(await lookups.underWay()).toBe(false);
  await connected('127.0.0.11');
  expect(await lookups.underWay()).toBe(true);
});

it('does not wait for a process that has ended', async () => {
  await new Lookups(2 ** 30).end();
});
