import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { JsonPeer } from '../../../src/rpc/control/json-peer.ts';
import { answering, type Handlers } from '../../../src/rpc/control/method.ts';
import { TASK_METHODS, type TaskMethods } from '../../../src/rpc/control/methods.ts';

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

it('an error keeps its code, and says where and what to do', async () => {
  const { near, far, close } = await connected();
  const agent = new JsonPeer(near, {});
  const where = { service: 'bank_a', slot: '1' };
  const advice = 'try again in a minute';
  new JsonPeer(far, {
    prepare: () => Promise.reject(new SwarmcutError('precondition', 'connections still wait', { where, advice })),
    start: () => Promise.reject(new Error('ENOSPC')),
  });
  const failed = agent.call('prepare');
  await expect(failed).rejects.toMatchObject({ code: 'precondition', exitCode: 6, where, advice });
  await expect(failed).rejects.toThrow('connections still wait');
  await expect(agent.call('start')).rejects.toMatchObject({ code: 'failed', message: 'ENOSPC', where: {} });
  agent.close();
  close();
});

it.each([
  ['the words of an earlier version', { answer: 1, error: 'out of order' }],
  ['a code of a later version', { answer: 1, error: { code: 'tired', message: 'out of order' } }],
])('%s are an error that has failed', async (_, line) => {
  const { near, far, close } = await connected();
  const agent = new JsonPeer(near, {});
  const failed = agent.call('status');
  far.write(`${JSON.stringify(line)}\n`);
  await expect(failed).rejects.toMatchObject({ code: 'failed', message: 'out of order' });
  agent.close();
  close();
});

it('parameters are checked where they arrive, and handlers get what was checked', async () => {
  const { near, far, close } = await connected();
  const got: unknown[] = [];
  const note = (params: unknown): void => void got.push(params);
  const names = Object.keys(TASK_METHODS);
  const handlers = Object.fromEntries(names.map((name) => [name, note])) as unknown as Handlers<TaskMethods>;
  new JsonPeer(near, answering(TASK_METHODS, handlers));
  const sidecar = new JsonPeer<TaskMethods>(far, {});
  await sidecar.call('freeze');
  await sidecar.call('save', { epoch: 3 });
  await sidecar.call('report', { kind: 'aborted', epoch: 3, reason: 'x' });
  expect(got).toEqual([undefined, { epoch: 3 }, { kind: 'aborted', epoch: 3, reason: 'x' }]);
  await expect(sidecar.call('save', {} as { epoch: number })).rejects.toThrow('epoch is missing');
  expect(got).toHaveLength(3);
  sidecar.close();
  close();
});
