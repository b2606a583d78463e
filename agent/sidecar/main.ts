import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import type { StreamCut } from '../../src/model/checkpoint.ts';
import { messageOf } from '../../src/model/errors.ts';
import { KEY_BYTES } from './peers/handshake.ts';
import { JsonPeer } from '../../src/rpc/control/json-peer.ts';
import { addressesIn } from './capture/listening.ts';
import { openLog } from './log-lines.ts';
import { field, listField, optionalField } from './control/params.ts';
import { Peers } from './peers/peers.ts';
import { writeRecord } from '../../src/storage/channel-records.ts';
import type { RecordedStream } from '../../src/storage/channel-records.ts';
import type { RestoreOptions } from './checkpoint/resuming.ts';
import type { RoundHost } from './checkpoint/round.ts';
import { Sidecar } from './sidecar.ts';
import { moveToNetns } from '../linux/sys.ts';
import { watchProcess } from './control/watch-process.ts';
import type { World } from '../../src/rpc/control/network-view.ts';

/**
 * The sidecar as a process: its configuration comes on stdin (the key must not stand on a command line), `ready` goes to stdout when it
 * listens, and everything else goes over its Unix socket (docs/proxy.md lists the methods).
 */
const config = readConfig(JSON.parse(await text(process.stdin)));
const log = openLog(config.logFile);
if (config.key.length !== KEY_BYTES) throw new Error(`the key has ${config.key.length} bytes instead of ${KEY_BYTES}`);

moveToNetns(config.netns);
const named = config.own.map(({ address }) => address);
const own = named.length > 0 ? named : addressesIn(config.netns);
const peers = new Peers({
  netns: config.netns,
  subnets: config.subnets,
  own,
  former: config.former,
  key: config.key,
  epoch: (): number => sidecar.epoch,
  log: (message, details) => log('info', message, details),
});
const sidecar = new Sidecar({
  netns: config.netns,
  task: config.task,
  key: config.key,
  epoch: config.epoch,
  peers,
  own,
  ...(config.restore && { restore: config.restore }),
  log: (message, details) => log('info', message, details),
});
if (config.pid !== undefined)
  watchProcess(config.pid, () => {
    log('info', 'the task has ended');
    end(0);
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
      world: (params) => peers.world(worldOf(params)),
      channels: () => sidecar.channels(),
      hold: (params) => sidecar.hold(field(params, 'forMs', 'number')),
      release: () => sidecar.release(),
      prepare: async (params) => {
        const options = {
          epoch: field(params, 'epoch', 'number'),
          deadlineMs: field(params, 'deadlineMs', 'number'),
          keepFrozen: field(params, 'keepFrozen', 'boolean'),
        };
        const recordLimitBytes = optionalField(params, 'recordLimitBytes', 'number');
        hosting = true;
        await sidecar.prepare({ ...options, ...(recordLimitBytes === undefined ? {} : { recordLimitBytes }) }, host);
      },
      start: (params) => sidecar.start(field(params, 'epoch', 'number')),
      releaseRound: (params) => sidecar.releaseRound(field(params, 'epoch', 'number')),
      abort: (params) => sidecar.abort(field(params, 'reason', 'string')),
      collect: async (params) => {
        const record = sidecar.record(field(params, 'epoch', 'number'));
        const { streams } = await writeRecord(field(params, 'folder', 'string'), record);
        return { streams: streams.map(cutOf) };
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
  log('error', 'the sidecar ends', { error: error.stack });
  end(1);
});

try {
  await sidecar.listen();
  await peers.start();
} catch (error) {
  log('error', 'cannot listen', { error: messageOf(error) });
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

/** @throws Error that names what is wrong */
function readConfig(json: unknown): {
  readonly netns: string;
  /** The task's first process: the sidecar ends with it. */
  readonly pid: number | undefined;
  readonly task: string;
  readonly key: Buffer;
  readonly epoch: number;
  readonly socket: string;
  readonly logFile: string | undefined;
  /** The stack's networks that the task is on, CIDR. Default: those that the world names. */
  readonly subnets: readonly string[];
  /** The task's addresses there. Default: all that its namespace has. */
  readonly own: readonly { readonly address: string }[];
  /** Addresses of its earlier lives. */
  readonly former: readonly string[];
  /** The task is a restored one: its connections go on after `resume`. */
  readonly restore: RestoreOptions | undefined;
} {
  return {
    netns: field(json, 'netns', 'string'),
    pid: optionalField(json, 'pid', 'number'),
    task: field(json, 'task', 'string'),
    key: Buffer.from(field(json, 'key', 'string'), 'base64'),
    epoch: field(json, 'epoch', 'number'),
    socket: field(json, 'socket', 'string'),
    logFile: optionalField(json, 'logFile', 'string'),
    subnets: listField(json, 'subnets', 'string'),
    own: listField(json, 'own', 'object').map((own) => ({ address: field(own, 'address', 'string') })),
    former: listField(json, 'former', 'string'),
    restore: optionalField(json, 'restore', 'object') as RestoreOptions | undefined,
  };
}

/** @throws Error that names what is wrong */
function worldOf(params: unknown): World {
  return {
    subnets: listField(params, 'subnets', 'string'),
    tasks: listField(params, 'tasks', 'object').map((task) => ({
      address: field(task, 'address', 'string'),
      service: field(task, 'service', 'string'),
      own: field(task, 'own', 'boolean'),
    })),
    vips: listField(params, 'vips', 'object').map((vip) => ({
      address: field(vip, 'address', 'string'),
      service: field(vip, 'service', 'string'),
      backends: listField(vip, 'backends', 'string'),
    })),
    strangers: listField(params, 'strangers', 'string'),
  };
}

/** Without what only the record's files are interested in. */
function cutOf({ at: _at, end: _end, ...cut }: RecordedStream): StreamCut {
  return cut;
}
