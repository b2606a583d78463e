import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { closeDescriptor, hasFailed, listenSocket, tcpSocket } from '../../../agent/linux/sys.ts';

test('a signal does not disturb the look at a socket', async () => {
  const handled = (): void => undefined;
  process.on('SIGUSR2', handled);
  const socket = tcpSocket();
  listenSocket(socket, 1);
  // Only a signal that falls into the call itself harms, so there must be many, and many calls.
  const sending = `setInterval(() => { for (let i = 0; i < 20; i++) process.kill(${process.pid}, 'SIGUSR2') }, 1)`;
  const sender = spawn(process.execPath, ['-e', sending]);
  onTestFinished(async () => {
    closeDescriptor(socket);
    sender.kill('SIGKILL');
    await once(sender, 'exit');
    process.removeListener('SIGUSR2', handled);
  });
  await once(sender, 'spawn');
  for (let slice = 0; slice < 200; slice += 1) {
    for (let look = 0; look < 10_000; look += 1) if (hasFailed(socket)) expect.fail('the socket has not failed');
    // Node keeps signals in a pipe until it comes round: one that is full would lose word of the sender's end.
    await setImmediate();
  }
});
