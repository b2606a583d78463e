import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { leaveOutTrackedFlows } from '../../../agent/network/tracked-flows.ts';
import { writeCriuConfig } from '../../../agent/runtime/criu/config.ts';
import { CriuHost, type Container } from './criu-host.ts';

let host: CriuHost;
beforeAll(async () => {
  host = await CriuHost.start();
}, 1_200_000);
afterAll(() => host.close());

/** Asks the engine's DNS server all the time, from one port, and shows which one has answered, or the error. */
const ASKER = [
  'python3',
  '-c',
  `
import socket, time
while True:
  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
  s.bind(('127.0.0.1', 4000)); s.connect(('127.0.0.11', 53))
  try: s.send(b'name'); print(s.recv(100).decode(), flush=True)
  except OSError as e: print(e.strerror or 'no answer', flush=True)
  s.close(); time.sleep(0.05)`,
];

/** The engine's DNS server in a container: at a port of its own, where the container's packets to 127.0.0.11:53 are led. */
async function nameServer(container: Container, port: number): Promise<void> {
  await container.inNetwork(
    ['nft', '-f', '-'],
    `table ip engine {
       chain out { type nat hook output priority -100; ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:${port}; }
     }`,
  );
  const server = `
const socket = require('dgram').createSocket('udp4');
socket.on('message', (m, from) => socket.send('from ${port}', from.port, from.address));
socket.bind(${port}, '127.0.0.11', () => console.log('up'));`;
  const child = spawn('nsenter', ['-t', String(await container.pid()), '-n', process.execPath, '-e', server]);
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
}

async function hears(container: Container, answer: string): Promise<void> {
  await vi.waitFor(() => expect(container.lines.at(-1)).toBe(answer), { timeout: 20_000, interval: 50 });
}

test('a restored task asks the name server of its new container, also from a port from which it has asked before', async () => {
  const old = await host.container('flows-old', ASKER);
  await old.start();
  await nameServer(old, 40_001);
  await hears(old, 'from 40001');
  await host.runc.pause(old.id);
  const imagePath = join(host.dir, 'flows');
  const workPath = join(host.dir, 'flows-work');
  await host.runc.checkpoint(old.id, { imagePath, workPath, criu: { inotifyPaths: [] } });
  await old.remove();

  const copy = await host.container('flows-copy', ASKER);
  const config = join(workPath, 'restore.conf');
  await writeCriuConfig(config);
  await leaveOutTrackedFlows(imagePath);
  await copy.restore(imagePath, config, [], () => nameServer(copy, 40_002));
  await hears(copy, 'from 40002');
  await copy.remove();
});
