import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { JsonPeer } from '../../src/rpc/control/json-peer.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmcut-json-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function connected(): Promise<{ near: Socket; far: Socket; close: () => void }> {
  const path = join(folder, 's');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const near = connect(path);
  const [far] = (await once(server, 'connection')) as [Socket];
  return { near, far, close: () => void server.close() };
}

it('the other side’s death is the end of the connection and of the calls that wait, and nothing worse', async () => {
  const { near, far, close } = await connected();
  far.on('error', () => undefined);
  far.pause();
  let ends = 0;
  const peer = new JsonPeer(near, {}, () => (ends += 1));
  const closed = new Promise((resolve) => near.once('close', resolve));
  const answer = peer.call('status');
  answer.catch(() => undefined);
  // What is unread when a process dies makes the kernel say ECONNRESET. Both must be seen by the same socket.
  near.emit('error', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
  far.destroy();
  await expect(answer).rejects.toMatchObject({ code: 'unreachable' });
  await closed;
  expect(ends).toBe(1);
  await expect(peer.call('status')).rejects.toMatchObject({ code: 'unreachable' });
  close();
});

it('calls go both ways, and an error arrives with its words', async () => {
  const { near, far, close } = await connected();
  const agent = new JsonPeer(near, { twice: (value) => 2 * (value as number) });
  const sidecar: JsonPeer = new JsonPeer(far, {
    fail: () => Promise.reject(new Error('out of order')),
    ask: (): Promise<unknown> => sidecar.call('twice', 21),
  });
  expect(await agent.call('ask')).toBe(42);
  await expect(agent.call('fail')).rejects.toThrow('out of order');
  await expect(agent.call('toString')).rejects.toThrow('no method toString');
  agent.close();
  close();
});
