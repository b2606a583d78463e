/** Keeping a running bed's agents in step with what has been built since. */
import { readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { execOn, pathInHost } from './hosts.ts';
import { TestbedError, paths, projectDir } from './layout.ts';
import type { Reporter } from './progress.ts';

const INSTALL_TIMEOUT_MS = 30_000;

/**
 * Registers the shim with the host's engine, as `agent install` does for users, and has an agent restarted whose code has been built anew
 * since it started. The supervisor did the former before it first started the engine (host/supervise.sh), so on a new bed this
 * finds nothing to do.
 *
 * @throws TestbedError with what `agent install` said.
 */
export async function refreshAgent(bed: string, node: string, reporter: Reporter): Promise<void> {
  await registerShim(bed, node, reporter);
  const pidFile = await pathInHost({ name: bed }, node, 'run/testbed/agent.pid');
  const started = await stat(pidFile).then(
    (found) => found.mtimeMs,
    () => undefined,
  );
  if (started === undefined || (await newestBuild()) < started) return;
  reporter.info(`restarting the agent on ${node}: it has been built anew`);
  await execOn({ name: bed }, node, ['sh', '-c', 'kill -TERM "$(cat /run/testbed/agent.pid)"']);
}

async function registerShim(bed: string, node: string, reporter: Reporter): Promise<void> {
  const configuration = await pathInHost({ name: bed }, node, 'etc/docker/daemon.json');
  const before = await readFile(configuration, 'utf8');
  const install = await execOn({ name: bed }, node, ['agent', 'install', '--no-service'], {
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
  if (install.exitCode !== 0) {
    const said = `${install.stdout}\n${install.stderr}`.trim();
    throw new TestbedError(`'agent install --no-service' failed on ${node} (${paths.bed(bed)}):\n  ${said}`);
  }
  if ((await readFile(configuration, 'utf8')) === before) return;
  reporter.info(`the shim is registered with the engine on ${node}`);
  // The engine reads runtimes again on SIGHUP.
  await execOn({ name: bed }, node, ['sh', '-c', 'kill -HUP "$(cat /run/testbed/engine.pid)"']);
}

/** When the agent's code was last written, in milliseconds since the epoch. */
async function newestBuild(): Promise<number> {
  const dist = path.join(projectDir(), 'dist');
  const times = await Promise.all(['agent', 'src'].map((dir) => newest(path.join(dist, dir))));
  return Math.max(0, ...times);
}

async function newest(dir: string): Promise<number> {
  const entries = await readdir(dir, { withFileTypes: true });
  const times = await Promise.all(
    entries.map(async (entry) => {
      const full = path.join(dir, entry.name);
      if (entry.isDirectory()) return newest(full);
      return entry.name.endsWith('.js') ? (await stat(full)).mtimeMs : 0;
    }),
  );
  return Math.max(0, ...times);
}
