import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Control, reach } from '../../examples/bank/audit/audit.ts';
import { serveControl } from '../../examples/bank/control.ts';
import { encodeHello, encodeTransfers, FrameError, FrameReader } from '../../examples/bank/frame.ts';
import { Gaps } from '../../examples/bank/gaps.ts';
import { Ledger } from '../../examples/bank/ledger.ts';
import { parseBranches, readOptions } from '../../examples/bank/options.ts';

describe('frames', () => {
  const transfers = Array.from({ length: 300 }, (_, i) => ({ kind: 'transfer' as const, seq: i + 1, amount: 7 * i }));
  const stream = Buffer.concat([encodeHello('vm-é'), encodeTransfers(transfers, 37)]);

  it.each([1, 19, 56, 57, 1000, stream.length])('come out as they went in, in pieces of %i bytes', (size) => {
    const reader = new FrameReader();
    const out = [];
    for (let at = 0; at < stream.length; at += size) out.push(...reader.push(stream.subarray(at, at + size)));
    expect(out).toEqual([{ kind: 'hello', id: 'vm-é' }, ...transfers]);
  });

  it.each([
    ['a byte missing in a payload', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 40), bytes.subarray(41)])],
    ['a byte changed in a payload', (bytes: Buffer) => Buffer.from(bytes).fill(0, 40, 41)],
    ['a byte changed in a header', (bytes: Buffer) => Buffer.from(bytes).fill(9, 13, 14)],
    ['a byte repeated', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 40), bytes.subarray(39)])],
  ])('show %s', (_, damage) => {
    const damaged = damage(
      encodeTransfers(
        [
          { seq: 100, amount: 5 },
          { seq: 101, amount: 6 },
        ],
        37,
      ),
    );
    expect(() => new FrameReader().push(damaged)).toThrow(FrameError);
  });
});

describe('ledger', () => {
  it('debits at sending, credits at receipt, and never spends what it has not', () => {
    const ledger = new Ledger(100);
    ledger.open('b');
    expect(ledger.debit('b', 70)).toEqual({ seq: 1, amount: 70, copies: 1 });
    expect(ledger.debit('b', 31)).toBeUndefined();
    expect(ledger.credit('b', 1, 5)).toBeUndefined();
    expect(ledger.balance).toBe(35);
    expect(ledger.books('b')).toEqual({
      sentCount: 1,
      sentSum: 70,
      receivedCount: 1,
      receivedSum: 5,
      missing: 0,
      duplicate: 0,
    });
  });

  it('says when a number is jumped over or comes again', () => {
    const ledger = new Ledger(0);
    ledger.open('b');
    expect(ledger.credit('b', 3, 5)).toBe('transfers 1..2 from b are missing (got 3)');
    expect(ledger.credit('b', 3, 5)).toBe('transfer 3 from b came again (expected 4)');
    expect(ledger.books('b')).toMatchObject({ missing: 2, duplicate: 1, receivedSum: 5 });
    expect(ledger.balance).toBe(5);
  });

  it('refuses a second account for a peer', () => {
    const ledger = new Ledger(0);
    ledger.open('b');
    expect(() => ledger.open('b')).toThrow('peer b has an account already');
  });
});

describe('settings', () => {
  it('reads services with their number of tasks', () => {
    expect(parseBranches('a b:2, 10.0.0.1')).toEqual([
      { name: 'a', tasks: 1 },
      { name: 'b', tasks: 2 },
      { name: '10.0.0.1', tasks: 1 },
    ]);
    expect(() => parseBranches('a:0')).toThrow('"a:0" is not name[:tasks]');
  });

  it('names the variable that is wrong', () => {
    expect(() => readOptions({ BANK_RATE: 'fast' })).toThrow('BANK_RATE: "fast"');
    expect(() => readOptions({ BANK_FAULT: 'lose:0' })).toThrow('BANK_FAULT: "lose:0"');
    expect(readOptions({ BANK_FAULT: 'lose:12' }).fault).toEqual({ kind: 'lose', seq: 12 });
  });
});

describe('the checker', () => {
  it('takes a branch that it reaches twice at one address for one, at two addresses for twins', async () => {
    const report = {
      id: 'x',
      service: 'a',
      initial: 1,
      balance: 1,
      paused: false,
      expectedPeers: 0,
      channels: [],
      errorCount: 0,
      errors: [],
      ticks: 0,
      worstGapMs: 0,
    };
    const server = serveControl(
      { setPaused: () => undefined, resetGap: () => undefined, report: () => report },
      0,
      '0.0.0.0',
    );
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const reached = async (...hosts: string[]): Promise<number> => {
      const list = hosts.map((host): [string, number] => [host, port]);
      const controls = await reach(() => Promise.resolve(list), { timeoutMs: 0, expected: 1 });
      controls.forEach((control) => control.close());
      return controls.length;
    };
    expect(await reached('127.0.0.1', '127.0.0.1')).toBe(1);
    expect(await reached('127.0.0.1', '127.0.0.2')).toBe(2);
  });

  it.each([
    ['accepts and says nothing', ''],
    ['begins an answer', '{"id":"x"'],
  ])('gives up a branch that %s, and says which and what for', { timeout: 5_000 }, async (_, said) => {
    const server = createServer((socket) => socket.on('error', () => undefined).write(said));
    onTestFinished(() => void server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const control = await Control.connect('127.0.0.1', port);
    await expect(control.request('pause', 100)).rejects.toThrow(
      `127.0.0.1:${port}: it accepts, but does not answer "pause" in 100 ms: frozen, or it hangs`,
    );
    // The connection is of no use any more: a late answer would be taken for that to the next question.
    await expect(control.request('status', 100)).rejects.toThrow('the connection has ended');
    await expect(reach(() => Promise.resolve([['127.0.0.1', port]]), { timeoutMs: 0, expected: 1 })).rejects.toThrow(
      'does not answer "status"',
    );
  });
});

describe('gaps of a branch', () => {
  it('counts the longest silence of any one connection, also one that lasts, and only from the reset', () => {
    const gaps = new Gaps();
    gaps.arrived('a', 0);
    gaps.arrived('b', 0);
    gaps.arrived('a', 30);
    gaps.arrived('b', 90);
    expect(gaps.worst(100)).toBe(90);
    gaps.reset(200);
    gaps.arrived('b', 210);
    expect(gaps.worst(260)).toBe(60);
  });
});
