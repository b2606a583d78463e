import { spawn, type ChildProcess } from 'node:child_process';
import { afterEach, expect, it } from 'vitest';
import { probesEnd } from '../../../../agent/runtime/docker/probes.ts';

/** A parent as containerd's shim is one: of the container's first process, and of what is started in it. */
const PARENT = `
sleep 1000 & echo $!
while read -r seconds; do sleep "$seconds" & echo $!; done
wait`;

let parent: ChildProcess | undefined;
afterEach(() => {
  if (parent?.pid !== undefined) process.kill(-parent.pid, 'SIGKILL');
});

/** The next line that it says: a pid. */
function line(from: ChildProcess): Promise<number> {
  return new Promise((resolve) => from.stdout?.once('data', (text: Buffer) => resolve(Number(text.toString()))));
}

function start(): ChildProcess {
  parent = spawn('sh', ['-c', PARENT], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  return parent;
}

it('waits for what was started in a container from outside', async () => {
  const shim = start();
  const pid = await line(shim);
  shim.stdin?.write('1000\n');
  const probe = await line(shim);
  let ended = false;
  const waiting = probesEnd(pid, { timeoutMs: 60_000 }).then(() => (ended = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(ended).toBe(false);
  process.kill(probe, 'SIGKILL');
  await waiting;
});

it('does not wait where nothing is, or for what is too old for a probe', async () => {
  const shim = start();
  const pid = await line(shim);
  await probesEnd(pid, { timeoutMs: 60_000 });
  shim.stdin?.write('1000\n');
  await line(shim);
  await probesEnd(pid, { timeoutMs: 0 });
  process.kill(pid, 'SIGKILL');
});
