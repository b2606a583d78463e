import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ParticipantOutcome } from '../../../src/algorithms/contract.ts';
import { deferred } from '../../../src/platform/deferred.ts';
import type { JsonPeer } from '../../../src/rpc/control/json-peer.ts';
import type { SidecarMethods } from '../../../src/rpc/control/methods.ts';
import type { NetworkView } from '../../../src/rpc/control/network-view.ts';
import { ECHO, PING } from '../network/kernel-bed.ts';
import type { Program } from '../network/kernel-bed.ts';
import { ProxyBed } from './proxy-bed.ts';

/** `b2` gets the address of `b` when that is gone. */
const ADDRESSES = { a: '10.98.0.1', b: '10.98.0.2', c: '10.98.0.3', b2: '10.98.0.2' };
/** By themselves tunnels to somebody who is gone end after half a minute, or a quarter of an hour when something is to be sent. */
const SOON = { timeout: 60_000 };
const ROUND = { deadlineMs: 60_000, keepFrozen: false };

let bed: ProxyBed;
const rounds: JsonPeer<SidecarMethods>[] = [];

beforeEach(async () => {
  bed = await ProxyBed.make(ADDRESSES);
  await plug('b2', 'down');
  await bed.attach('a', 'b', 'c');
});
afterEach(async () => {
  for (const control of rounds.splice(0)) control.close();
  await bed.close();
});

/** A cable of a task; without it nothing of what happens there gets through. */
async function plug(task: string, state: 'up' | 'down'): Promise<void> {
  await execa('ip', ['-n', bed.bed.name('sw'), 'link', 'set', `v${task}`, state]);
}

/** What agents know when only these are tasks of the stack. */
function only(...tasks: string[]): NetworkView {
  const view = bed.view();
  return { ...view, tasks: view.tasks.filter(({ service }) => tasks.includes(service)) };
}

async function server(task: string): Promise<Program> {
  const program = bed.bed.program(task, ECHO, '7000');
  await program.line((line) => line === 'listening');
  return program;
}

/** A connection on which numbers go to and fro. */
async function ping(task: string, to: keyof typeof ADDRESSES): Promise<Program> {
  const program = bed.bed.program(task, PING, ADDRESSES[to], '7000', '5');
  await program.more(5);
  return program;
}

async function introduce(...servers: string[]): Promise<void> {
  await bed.introduce(only('a', 'b', 'c'), ['a', 'b', 'c']);
  for (const task of ['a', 'b', 'c'])
    for (const other of servers.filter((name) => name !== task))
      await vi.waitFor(async () => expect(await bed.set(task, 'listening')).toContain(bed.address(other)), SOON);
}

async function expectStreams(task: string, streams: number): Promise<void> {
  await vi.waitFor(async () => expect(await bed.status(task)).toMatchObject({ streams }), SOON);
}

/** A task's part of a round; nothing is really done to it. @param freeze what its agent does then */
async function prepare(task: string, epoch: number, freeze = (): Promise<void> => Promise.resolve()) {
  const reported = deferred<ParticipantOutcome>();
  const done = (): Promise<void> => Promise.resolve();
  const control = await bed.interceptor(task).control({
    ...{ block: done, save: done, advance: done, unblock: done, thaw: done, discard: done, freeze },
    report: (outcome) => {
      reported.resolve(outcome);
      return done();
    },
  });
  rounds.push(control);
  await control.call('prepare', { epoch, ...ROUND });
  return { outcome: reported.promise, start: () => control.call('start', { epoch }) };
}

/** Both cut, by the first one's marker. */
async function expectRound(epoch: number, ...tasks: string[]): Promise<void> {
  const parts = [];
  for (const task of tasks) parts.push(await prepare(task, epoch));
  await parts[0]?.start();
  for (const { outcome } of parts) expect(await outcome).toEqual({ kind: 'saved', epoch });
}

describe('a peer that is gone without a word', () => {
  test('is gone when its agent does not name it any more: its streams end, and a round succeeds', async () => {
    await server('a');
    await introduce('a');
    await ping('b', 'a');
    const staying = await ping('c', 'a');
    await expectStreams('a', 2);
    await plug('b', 'down');
    for (const task of ['a', 'c']) await bed.call(task, 'networkView', only('a', 'c'));
    await expectStreams('a', 1);
    expect(bed.log('a')).toContain('a peer is gone');
    await expectRound(1, 'a', 'c');
    await staying.more(5);
  });

  test('does not keep a connection that it was just about to accept', async () => {
    await server('b');
    await introduce('b');
    // It takes the call, and does not answer it.
    await bed.call('b', 'block', { forMs: 60_000 });
    const client = bed.bed.program('a', PING, ADDRESSES.b, '7000', '5');
    await vi.waitFor(async () => expect(await bed.call('a', 'channels')).toMatchObject([{ open: false }]), SOON);
    await plug('b', 'down');
    for (const task of ['a', 'c']) await bed.call(task, 'networkView', only('a', 'c'));
    await client.line((line) => line === 'closed', 0, 30_000);
    await expectStreams('a', 0);
  });

  test('is gone when another task has its address', async () => {
    await server('a');
    await introduce('a');
    await ping('b', 'a');
    await plug('b', 'down');
    await plug('b2', 'up');
    await bed.bed.run('a', ['ip', 'neigh', 'flush', 'all']);
    await bed.attach('b2');
    await bed.call('b2', 'networkView', only('a', 'b', 'c'));
    await expectStreams('a', 0);
    await ping('b2', 'a');
    await expectStreams('a', 1);
    await expectRound(1, 'a', 'b2');
  });

  test('is gone when its sidecar was killed and is there anew, though nobody could hear of it', async () => {
    await server('a');
    await introduce('a');
    await ping('b', 'a');
    const former = bed.interceptor('b').pid ?? Number.NaN;
    await plug('b', 'down');
    process.kill(former, 'SIGKILL');
    await vi.waitFor(() => expect([undefined, former]).not.toContain(bed.interceptor('b').pid), SOON);
    await plug('b', 'up');
    await expectStreams('a', 0);
    await ping('b', 'a');
    await expectRound(1, 'a', 'b');
  });

  test('in the middle of a round that it takes part in: the round is given up, and says who and why', async () => {
    await server('a');
    await introduce('a');
    await ping('b', 'a');
    await ping('c', 'a');
    const never = deferred<undefined>();
    const own = await prepare('a', 1);
    await prepare('b', 1, () => never.promise); // its marker does not leave
    await prepare('c', 1);
    await own.start();
    await plug('b', 'down');
    for (const task of ['a', 'c']) await bed.call(task, 'networkView', only('a', 'c'));
    expect(await own.outcome).toMatchObject({
      kind: 'aborted',
      reason: expect.stringMatching(
        /^the peer of channel 10\.98\.0\.2:\d+ -> 10\.98\.0\.1:7000 \(.*\) was lost before its marker came: b at 10\.98\.0\.2 is gone: /,
      ) as string,
    });
    await expectRound(2, 'a', 'c');
  });
});

describe('a peer that only seems to be gone', () => {
  test('stands still, and nobody names it: its streams wait for it', async () => {
    await server('a');
    await introduce('a');
    const client = await ping('b', 'a');
    const pid = bed.interceptor('b').pid ?? Number.NaN;
    process.kill(pid, 'SIGSTOP');
    await bed.call('a', 'networkView', only('a', 'c'));
    await prepare('a', 1); // has looked at all its peers
    process.kill(pid, 'SIGCONT');
    await client.more(50);
    expect(client.lines.filter((line) => /error|closed|wrong/.test(line))).toEqual([]);
    await expectStreams('a', 1);
  });

  test('comes to answer after two seconds only: it is waited for, not called again', async () => {
    // Both may be so busy that no call would ever come through otherwise.
    const pid = bed.interceptor('b').pid ?? Number.NaN;
    process.kill(pid, 'SIGSTOP');
    await bed.call('a', 'networkView', only('a', 'b'));
    const call = async (): Promise<string> => {
      const lines = await bed.bed.run('a', ['ss', '-Htn', 'state', 'established', 'dport', '=', ':15072']);
      return lines.trim().split(/\s+/)[2] ?? '';
    };
    await expect.poll(call, SOON).toMatch(/^10\.98\.0\.1:/);
    const first = await call();
    await new Promise((resolve) => setTimeout(resolve, 2_000)); // the time is what this is about
    process.kill(pid, 'SIGCONT');
    await expect.poll(async () => (await bed.status('a')).peers, SOON).toEqual([ADDRESSES.b]);
    expect(await call()).toBe(first);
  });

  test('does not answer for some seconds: no round begins, and then all goes on', async () => {
    await server('a');
    await introduce('a');
    const client = await ping('b', 'a');
    await plug('b', 'down');
    await expect(prepare('a', 1)).rejects.toMatchObject({
      code: 'precondition',
      message: 'a has connections with b at 10.98.0.2, whose sidecar has not answered for 10 s',
    });
    await plug('b', 'up');
    await client.more(50, 30_000);
    expect(client.lines.filter((line) => /error|closed|wrong/.test(line))).toEqual([]);
    await expectStreams('a', 1);
    await expectRound(2, 'a', 'b');
  });
});
