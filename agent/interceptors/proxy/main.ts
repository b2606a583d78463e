import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { streamCutSchema } from '../../../src/model/checkpoint.ts';
import { messageOf } from '../../../src/model/errors.ts';
import { createLogger } from '../../../src/runtime/logger.ts';
import { KEY_BYTES } from './handshake.ts';
import { JsonPeer } from './json-peer.ts';
import { addressesIn } from './listening.ts';
import { Peers } from './peers.ts';
import { writeRecord } from './record-files.ts';
import { restoreSchema } from './resuming.ts';
import type { RoundHost } from './round.ts';
import { Sidecar } from './sidecar.ts';
import { watchProcess } from './watch-process.ts';
import { worldSchema } from './world.ts';

/**
 * The sidecar as a process: its configuration comes on stdin (the key must not stand on a command line), `ready` goes to stdout when it
 * listens, and everything else goes over its Unix socket (docs/proxy.md lists the methods).
 */
const config = z
  .object({
    netns: z.string(),
    /** The task's first process: the sidecar ends with it. */
    pid: z.number().optional(),
    task: z.string(),
    key: z.base64(),
    epoch: z.number(),
    socket: z.string(),
    logFile: z.string().optional(),
    /** The stack's networks that the task is on, CIDR. Default: those that the world names. */
    subnets: z.array(z.string()).default([]),
    /** The task's addresses there. Default: all that its namespace has. */
    own: z.array(z.object({ address: z.string(), network: z.string() })).default([]),
    /** Addresses of its earlier lives. */
    former: z.array(z.string()).default([]),
    /** The task is a restored one: its connections go on after `resume`. */
    restore: restoreSchema.optional(),
  })
  .parse(JSON.parse(await text(process.stdin)));

const log = createLogger({
  level: 'info',
  program: 'sidecar',
  ...(config.logFile === undefined ? {} : { file: config.logFile }),
});
const key = Buffer.from(config.key, 'base64');
if (key.length !== KEY_BYTES) throw new Error(`the key has ${key.length} bytes instead of ${KEY_BYTES}`);

const named = config.own.map(({ address }) => address);
const own = named.length > 0 ? named : addressesIn(config.netns);
const peers = new Peers({
  netns: config.netns,
  subnets: config.subnets,
  own,
  former: config.former,
  key,
  epoch: (): number => sidecar.epoch,
  log: (message, details) => log.info(details, message),
});
const sidecar = new Sidecar({
  netns: config.netns,
  task: config.task,
  key,
  epoch: config.epoch,
  peers,
  own,
  ...(config.restore && { restore: config.restore }),
  log: (message, details) => log.info(details, message),
});
if (config.pid !== undefined)
  watchProcess(config.pid, () => {
    log.info('the task has ended');
    end(0);
  });

const epochParams = z.object({ epoch: z.number() });
const prepareParams = z.object({
  epoch: z.number(),
  deadlineMs: z.number(),
  keepFrozen: z.boolean(),
  recordLimitBytes: z.number().optional(),
});

const control = createServer((socket) => {
  /** Whoever prepared the round does the work for it; when it goes, the round is given up. */
  let hosting = false;
  const host: RoundHost = {
    hold: () => ask('hold'),
    freeze: () => ask('freeze'),
    save: (epoch) => ask('save', { epoch }),
    advance: (epoch) => ask('advance', { epoch }),
    unhold: () => ask('unhold'),
    thaw: () => ask('thaw'),
    discard: () => ask('discard'),
    report: (outcome) => ask('report', outcome),
  };
  const peer = new JsonPeer(
    socket,
    {
      status: () => ({ ...sidecar.status(), ...peers.status() }),
      world: (params) => peers.world(worldSchema.parse(params)),
      channels: () => sidecar.channels(),
      hold: () => sidecar.hold(),
      release: () => sidecar.release(),
      prepare: async (params) => {
        const { recordLimitBytes, ...options } = prepareParams.parse(params);
        hosting = true;
        await sidecar.prepare({ ...options, ...(recordLimitBytes === undefined ? {} : { recordLimitBytes }) }, host);
      },
      start: (params) => sidecar.start(epochParams.parse(params).epoch),
      releaseRound: (params) => sidecar.releaseRound(epochParams.parse(params).epoch),
      abort: (params) => sidecar.abort(z.object({ reason: z.string() }).parse(params).reason),
      collect: async (params) => {
        const { epoch, folder } = z.object({ epoch: z.number(), folder: z.string() }).parse(params);
        const { streams } = await writeRecord(folder, sidecar.record(epoch));
        return { streams: streams.map((stream) => streamCutSchema.parse(stream)) };
      },
      finish: () => sidecar.finish(),
      resume: () => sidecar.resume(),
    },
    () => {
      if (hosting) void sidecar.abort('the agent is gone').then(() => sidecar.finish());
    },
  );
  const ask = async (method: string, params?: unknown): Promise<void> => {
    await peer.call(method, params);
  };
});

function end(code: number): never {
  peers.close();
  sidecar.close();
  rmSync(config.socket, { force: true });
  process.exit(code);
}
process.on('SIGTERM', () => end(0));
process.on('uncaughtException', (error) => {
  // Resets every connection: a hanging one would be worse.
  log.error({ error: error.stack }, 'the sidecar ends');
  end(1);
});

try {
  await sidecar.listen();
  await peers.start();
} catch (error) {
  log.error({ error: messageOf(error) }, 'cannot listen');
  process.stderr.write(`sidecar of ${config.task}: ${messageOf(error)}\n`);
  process.exit(1);
}
rmSync(config.socket, { force: true });
const mask = process.umask(0o177);
control.listen(config.socket, () => {
  process.umask(mask);
  chmodSync(config.socket, 0o600);
  process.stdout.write('ready\n');
});
