/** The programs that know what each answer must be: pair and redis' client, against a peer that makes one mistake. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { lineReader } from '../../examples/pair/lines.ts';
import { GAP_LISTED_MS } from '../../examples/pair/status.ts';
import type { Status } from '../../examples/pair/status.ts';
import { encodeCommand, replyReader } from '../../examples/redis/resp.ts';
import { Programs } from './programs.ts';

const WAIT = { timeout: 15_000, interval: 30 };
const PAIR_PORT = '7000';

let programs: Programs;
let servers: Server[] = [];
const sockets: Socket[] = [];
let hosts = 0;

beforeAll(() => {
  programs = new Programs();
});
afterEach(async () => {
  await programs.stop();
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers) server.close();
  servers = [];
});
afterAll(async () => {
  await programs.remove();
});

const nextHost = (): string => programs.address((hosts += 1));
const statusFile = (host: string): string => join(programs.folder, `status-${host}.json`);
const statusEnv = (host: string): Record<string, string> => ({ STATUS_FILE: statusFile(host), STATUS_HOST: host });

/** Waits until the status file fulfils what `judge` expects of it. */
function status(host: string, judge: (status: Status) => void): Promise<Status> {
  return vi.waitFor(() => {
    const found = JSON.parse(readFileSync(statusFile(host), 'utf8')) as Status;
    judge(found);
    return found;
  }, WAIT);
}

async function serve(host: string, port: number, accept: (socket: Socket) => void): Promise<void> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    accept(socket);
  });
  servers.push(server);
  server.listen(port, host);
  await once(server, 'listening');
}

describe('pair', { timeout: 20_000 }, () => {
  /** A server, a client, and between them a relay that passes each answer through `answer`; null: close instead. */
  async function pair(
    answer: (line: string, inward: Socket) => string[] | null,
    probeMs = 50,
  ): Promise<{ server: string; client: string }> {
    const [server, relay, client] = [nextHost(), nextHost(), nextHost()];
    programs.start('pair/server.js', { PAIR_HOST: server, ...statusEnv(server) });
    await serve(relay, Number(PAIR_PORT), (inward) => {
      const outward = connect(Number(PAIR_PORT), server);
      sockets.push(outward);
      const read = lineReader();
      inward.pipe(outward);
      outward.on('error', () => inward.destroy());
      outward.on('data', (bytes) => {
        for (const lines of read(bytes).map((line) => answer(line, inward))) {
          if (lines === null) inward.destroy();
          else for (const line of lines) inward.write(`${line}\n`);
        }
      });
      inward.on('close', () => outward.destroy());
    });
    await status(server, () => undefined);
    programs.start('pair/client.js', {
      PAIR_SERVER: relay,
      PAIR_PERIOD_MS: '1',
      PAIR_PROBE_MS: String(probeMs),
      ...statusEnv(client),
    });
    return { server, client };
  }

  it('counts without an error, and answers over HTTP', async () => {
    const { server, client } = await pair((line) => [line]);
    const seen = await status(client, ({ n }) => expect(n).toBeGreaterThan(100));
    expect(seen).toMatchObject({ role: 'pair-client', errors: 0, reconnects: 0 });
    expect(seen.worstGapMs).toBeGreaterThan(0);
    expect((await status(server, ({ n }) => expect(n).toBeGreaterThan(100))).errors).toBe(0);

    const before = (await (await fetch(`http://${client}:8080/reset`)).json()) as Status;
    const after = (await (await fetch(`http://${client}:8080/status`)).json()) as Status;
    expect(after.resetMs).toBeGreaterThan(before.resetMs);
    expect(after.n).toBeGreaterThanOrEqual(before.n);
  });

  it('lists a stop of the other side with its start', async () => {
    const { client } = await pair((line, inward) => {
      if (line !== '50') return [line];
      // The stop is what is tested; its length is well over what is listed.
      setTimeout(() => inward.write('50\n'), 60);
      return [];
    }, 60_000);
    const seen = await status(client, ({ n }) => expect(n).toBeGreaterThan(60));
    expect(seen.gaps.find(({ n }) => n === 50)?.gapMs).toBeGreaterThan(GAP_LISTED_MS);
  });

  it.each([
    ['swallowed', (line: string) => (line === '30' ? [] : [line]), 'missing: 30..30 (got 31)'],
    ['repeated', (line: string) => (line === '30' ? [line, line] : [line]), 'duplicate: 30 (expected 31)'],
  ])('sees that an answer was %s', async (_, answer, text) => {
    const { client } = await pair(answer);
    const seen = await status(client, ({ n }) => expect(n).toBeGreaterThan(60));
    expect(seen.errorList).toEqual([text]);
    expect(seen).toMatchObject({ errors: 1, reconnects: 0 });
  });

  it('counts a lost connection at both ends, and goes on', async () => {
    let closed = false;
    const { server, client } = await pair((line) => {
      if (line !== '30' || closed) return [line];
      closed = true;
      return null;
    });
    const seen = await status(client, ({ n }) => expect(n).toBeGreaterThan(60));
    expect(seen).toMatchObject({ errors: 1, reconnects: 1 });
    expect(seen.errorList[0]).toContain('connection lost after 29');
    await status(server, (seen) => expect(seen).toMatchObject({ errors: 1, reconnects: 1 }));
  });
});

describe('redis client', { timeout: 20_000 }, () => {
  /** As much of redis as the client uses. `lie` may change what a command is answered. */
  async function redis(lie: (words: string[], reply: string) => string, fillMb = '0'): Promise<string> {
    const [server, client] = [nextHost(), nextHost()];
    const data = new Map<string, string>();
    await serve(server, 6379, (socket) => {
      let rest = '';
      socket.on('data', (bytes) => {
        rest += bytes.toString('latin1');
        for (let match; (match = /^\*\d+\r\n((?:\$\d+\r\n[^\r]*\r\n)+?)(?=\*|$)/.exec(rest)) !== null;) {
          rest = rest.slice(match[0].length);
          const words = (match[1] ?? '').split('\r\n').filter((_, index) => index % 2 === 1);
          socket.write(lie(words, execute(words)));
        }
      });
    });
    function execute([command, key = '', value = '']: string[]): string {
      const old = data.get(key);
      if (command === 'GET') return old === undefined ? '$-1\r\n' : `$${old.length}\r\n${old}\r\n`;
      const next = command === 'INCR' ? String(Number(old ?? 0) + 1) : value;
      data.set(key, next);
      return command === 'INCR' ? `:${next}\r\n` : '+OK\r\n';
    }
    programs.start('redis/client.js', {
      REDIS_SERVER: server,
      REDIS_PERIOD_MS: '1',
      REDIS_KEYS: '10',
      REDIS_FILL_MB: fillMb,
      ...statusEnv(client),
    });
    return client;
  }

  it('counts without an error', async () => {
    const client = await redis((_, reply) => reply, '1');
    const seen = await status(client, ({ n }) => expect(n).toBeGreaterThan(60));
    expect(seen).toMatchObject({ errors: 0, reconnects: 0 });
  });

  it('waits for a redis that still loads its data', async () => {
    let asked = 0;
    const client = await redis((_, reply) => ((asked += 1) < 3 ? '-LOADING Redis is loading\r\n' : reply));
    expect(await status(client, ({ n }) => expect(n).toBeGreaterThan(1))).toMatchObject({ errors: 0 });
  });

  it('sees a write that was lost, and a counter that went back', async () => {
    const client = await redis((words, reply) => {
      if (words[0] === 'INCR' && reply === ':30\r\n') return ':28\r\n';
      return reply === '$2\r\n40\r\n' ? '$2\r\n38\r\n' : reply;
    });
    const seen = await status(client, ({ n }) => expect(n).toBeGreaterThan(60));
    expect(seen.errorList[0]).toBe('INCR swarmcut:counter: got 28, expected 30');
    expect(seen.errorList.join('\n')).toContain('GET key:0: got 38, expected 40');
  });
});

describe('RESP', () => {
  it('reads replies however they are split', () => {
    const stream = Buffer.from('+OK\r\n:12\r\n$4\r\na\r\nb\r\n$-1\r\n-ERR no\r\n');
    for (let size = 1; size <= stream.length; size++) {
      const read = replyReader();
      const replies = [];
      for (let at = 0; at < stream.length; at += size) replies.push(...read(stream.subarray(at, at + size)));
      expect(replies).toEqual(['OK', 12, 'a\r\nb', null, new Error('ERR no')]);
    }
  });

  it('writes commands, counting bytes', () => {
    expect(encodeCommand('SET', 'é', 5)).toBe('*3\r\n$3\r\nSET\r\n$2\r\né\r\n$1\r\n5\r\n');
  });
});
