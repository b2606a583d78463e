import { spawn } from 'node:child_process';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { Runner } from '../kernel/runner.ts';

/** Nothing here waits for a peer: a child that takes this long hangs. */
const CHILD_TIMEOUT_MS = 20_000;
const ERROR_LINES = 3;

/**
 * What kernel/runner.ts does, without the library that it uses: that is 12 MB in each sidecar, and all that a sidecar runs is `nft` with a
 * script on stdin.
 */
export const run: Runner = (command, input = '') => {
  const [file, ...args] = command;
  if (file === undefined) return Promise.reject(new Error('empty command'));
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: { ...process.env, LC_ALL: 'C' }, timeout: CHILD_TIMEOUT_MS });
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const)
      child[stream].setEncoding('utf8').on('data', (text: string) => (said[stream] += text));
    child.once('error', (error: NodeJS.ErrnoException) => {
      const advice = error.code === 'ENOENT' ? { advice: `install ${file} on this node` } : {};
      reject(new SwarmcutError('failed', `${command.join(' ')}: ${error.message}`, { cause: error, ...advice }));
    });
    child.once('close', (code, signal) => {
      if (code === 0) {
        resolve(said.stdout);
        return;
      }
      const words = said.stderr.trim().split('\n').slice(0, ERROR_LINES).join(' / ');
      const why = words || (signal ? `ended by ${signal}` : `exit code ${code ?? 'none'}`);
      reject(new SwarmcutError('failed', `${command.join(' ')}: ${why}`));
    });
    child.stdin.on('error', () => undefined); // it has ended without reading everything, and says why
    child.stdin.end(input);
  });
};
