import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { tryOpenProcess } from '../../../agent/linux/sys.ts';
import { watchProcess } from '../../../agent/sidecar/watch-process.ts';

/** Ends when it has something to read. */
const WAITING = ['-c', 'read line'];

it('says when a process has ended, also as a zombie, and once', async () => {
  const child = spawn('/bin/sh', WAITING, { stdio: ['pipe', 'ignore', 'inherit'] });
  await once(child, 'spawn');
  let ends = 0;
  const ended = new Promise<void>((resolve) => {
    watchProcess(child.pid ?? -1, () => {
      ends += 1;
      resolve();
    });
  });
  expect(ends).toBe(0);
  const exited = once(child, 'exit');
  child.stdin.end('\n');
  await Promise.all([ended, exited]);
  expect(ends).toBe(1);
});

it('says so of one that has ended before', async () => {
  const child = spawn('/bin/true');
  await once(child, 'exit');
  await new Promise<void>((resolve) => watchProcess(child.pid ?? -1, resolve));
});

it('the kernel does not open what is not there', () => {
  expect(tryOpenProcess(2 ** 22 + 1)).toBe(-1);
});
