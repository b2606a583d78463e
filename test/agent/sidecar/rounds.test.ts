import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SidecarRounds } from '../../../agent/sidecar/checkpoint/rounds.ts';
import type { Streams } from '../../../agent/sidecar/streams/streams.ts';
import type { TaskHost } from '../../../src/execution/real-time-executor.ts';
import { deferred } from '../../../src/platform/deferred.ts';

const EPOCH = 3;
const params = { epoch: EPOCH, deadlineMs: 60_000, keepFrozen: false };
const identity = {
  id: '0123456789abcdef0123456789abcdef',
  client: { address: '10.0.1.2', port: 40_000 },
  server: { address: '10.0.1.3', port: 9_000 },
};

/** A sidecar with this many connections that wait for their other end, and an agent that writes down what it is asked. */
function sidecar(awaiting = 0, unknownPeers: readonly string[] = []) {
  const streams = {
    round: undefined,
    waits: awaiting,
    all: () =>
      Array.from({ length: streams.waits }, () => ({ awaiting: true, identity, pauseChannel: () => undefined })),
    introduce: () => undefined,
    block: () => undefined,
    release: () => undefined,
  };
  const asked: string[] = [];
  const note = (name: string) => (): Promise<void> => Promise.resolve(void asked.push(name));
  const freezing = deferred<undefined>();
  const host = {
    ...Object.fromEntries(
      ['block', 'save', 'advance', 'unblock', 'thaw', 'discard', 'report'].map((name) => [name, note(name)]),
    ),
    freeze: () => note('freeze')().then(() => freezing.promise),
  } as unknown as TaskHost;
  const rounds = new SidecarRounds({
    task: 'bank_a.1',
    netns: '/nowhere',
    streams: streams as unknown as Streams,
    coming: () => 0,
    unknownPeers: () => Promise.resolve(unknownPeers),
    log: () => undefined,
  });
  return { rounds, streams, host, asked, freezing };
}

describe('the rounds of a sidecar', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('do not begin while connections are between two lives: a precondition, with advice', async () => {
    const { rounds, host } = sidecar(7);
    const refused = expect(rounds.prepare(params, host)).rejects.toMatchObject({
      code: 'precondition',
      advice: 'try again in a minute',
      message: expect.stringMatching(
        /^7 connections of bank_a\.1 \((10\.0\.1\.2:40000 -> 10\.0\.1\.3:9000, ){4}10\.0\.1\.2:40000 -> 10\.0\.1\.3:9000 and 2 more\)/,
      ) as string,
    });
    await vi.advanceTimersByTimeAsync(21_000);
    await refused;
    await expect(rounds.start(EPOCH)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('do not begin while it is not known whether a peer is still there: the same', async () => {
    const { rounds, host } = sidecar(0, ['bank_b at 10.0.1.3']);
    await expect(rounds.prepare(params, host)).rejects.toMatchObject({
      code: 'precondition',
      message: 'bank_a.1 has connections with bank_b at 10.0.1.3, whose sidecar has not answered for 10 s',
      advice: expect.stringContaining('docker node ls') as string,
    });
    await expect(rounds.start(EPOCH)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('are not prepared when they are given up meanwhile', async () => {
    const { rounds, streams, host } = sidecar(1);
    const refused = expect(rounds.prepare(params, host)).rejects.toMatchObject({ code: 'interrupted' });
    await rounds.abort('the agent is gone');
    await rounds.finish();
    streams.waits = 0;
    await vi.advanceTimersByTimeAsync(100);
    await refused;
    expect(streams.round).toBeUndefined();
    await expect(rounds.start(EPOCH)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('end what the one before has left open', async () => {
    const { rounds, host, asked, freezing } = sidecar();
    await rounds.prepare(params, host);
    const started = rounds.start(EPOCH);
    await vi.advanceTimersByTimeAsync(50);
    const prepared = rounds.prepare({ ...params, epoch: EPOCH + 1 }, host);
    await vi.advanceTimersByTimeAsync(50);
    expect(asked).toEqual(['block', 'freeze']);
    freezing.reject(new Error('the task has ended'));
    await Promise.all([started, prepared]);
    expect(asked).toEqual(['block', 'freeze', 'discard', 'unblock', 'thaw', 'report']);
    await expect(rounds.start(EPOCH)).rejects.toMatchObject({ code: 'not-found' });
    await rounds.finish();
  });
});
