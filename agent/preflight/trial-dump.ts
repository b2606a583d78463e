import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/model/errors.ts';
import { run } from '../../src/platform/processes.ts';
import { readCriuFailure } from '../runtime/criu/log.ts';

/** `nobody` everywhere; any user will do that is not root. */
const OTHER_USER = 65534;

/** Longest life of the process that is dumped, should nobody end it. Seconds. */
const LIFE_S = 60;

/**
 * Lets CRIU dump a small process of another user, as it has to do for a service with `user:`: what CRIU may do is best known by CRIU, in the environment
 * that it has here. Takes some 100 ms. The process is ended, and the dump removed.
 *
 * @param parent folder for the dump
 * @returns empty if CRIU can; else why it cannot, in its own words
 */
export async function trialDump(parent: string, timeoutMs: number): Promise<string> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const dir = await mkdtemp(join(parent, 'trial-'));
  // In a session of its own: CRIU does not dump one whose leader is elsewhere.
  const options = { uid: OTHER_USER, gid: OTHER_USER, detached: true, stdio: 'ignore', cwd: '/' } as const;
  const child = spawn('sleep', [String(LIFE_S)], { ...options, env: { PATH: '/usr/bin:/bin' } });
  try {
    await once(child, 'spawn');
    const log = 'dump.log';
    const dumped = await run(
      ['criu', 'dump', '--tree', String(child.pid), '--images-dir', dir, '--log-file', log, '--leave-running'],
      { timeoutMs },
    );
    if (dumped.exitCode === 0) return '';
    const { line } = await readCriuFailure(dir, log);
    return line === '' ? `criu dump: ${dumped.problem ?? dumped.output}` : line;
  } catch (error) {
    return messageOf(error);
  } finally {
    child.kill('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  }
}
