import { rmSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { messageOf } from '../../src/model/errors.ts';
import { readStartConfig } from '../../src/rpc/control/start-config.ts';
import { moveToNetns } from '../linux/sys.ts';
import { unmapClean } from './unmap.ts';
import { addressesIn } from './capture/listening.ts';
import { serveControl } from './control/server.ts';
import { openLog } from './log-lines.ts';
import { KEY_BYTES } from './peers/handshake.ts';
import { Peers } from './peers/peers.ts';
import { Sidecar } from './sidecar.ts';
import { Tunnels } from './sockets/tunnels.ts';
import { watchProcess } from './watch-process.ts';

/** By then what a start needs is done. */
const START_OVER_MS = 1_000;

/**
 * The sidecar as a process: its configuration comes on stdin, `ready` goes to stdout when it listens, and everything else goes over its
 * Unix socket (src/rpc/control/methods.ts).
 */
const config = readStartConfig(JSON.parse(await text(process.stdin)));
const { netns, task, epoch, subnets, previousAddresses, restore } = config;
const key = Buffer.from(config.key, 'base64');
const writeLine = openLog(config.logFile);
const log = (message: string, details: object): void => writeLine('info', message, details);
if (key.length !== KEY_BYTES) throw new Error(`the key has ${key.length} bytes instead of ${KEY_BYTES}`);

moveToNetns(netns);
const named = config.own.map(({ address }) => address);
const own = named.length > 0 ? named : addressesIn(netns);
const tunnels = new Tunnels();
const peers = new Peers({
  netns,
  subnets,
  own,
  previousAddresses,
  key,
  tunnels,
  epoch: (): number => sidecar.epoch,
  log,
});
const sidecar = new Sidecar({ netns, task, key, epoch, peers, own, tunnels, ...(restore && { restore }), log });
if (config.pid !== undefined)
  watchProcess(config.pid, () => {
    writeLine('info', 'the task has ended');
    end(0);
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
  writeLine('error', 'the sidecar ends', { error: error.stack });
  end(1);
});

try {
  await sidecar.listen();
  await peers.start();
} catch (error) {
  writeLine('error', 'cannot listen', { error: messageOf(error) });
  process.stderr.write(`sidecar of ${task}: ${messageOf(error)}\n`);
  process.exit(1);
}
serveControl(config.socket, { sidecar, peers }, () => void process.stdout.write('ready\n'));
// A node may have a hundred sidecars.
setTimeout(() => {
  try {
    unmapClean(process.execPath);
  } catch (error) {
    writeLine('info', 'what only the start needed stays mapped', { error: messageOf(error) });
  }
}, START_OVER_MS).unref();
