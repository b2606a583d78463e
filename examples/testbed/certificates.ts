/** Keys and certificates of a bed: made by `coordinator ca`, as a user would, and laid into the hosts before they start. */
import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { TestbedError, paths, projectDir } from './layout.ts';
import type { BedRecord } from './layout.ts';

/**
 * Makes a certificate authority of the bed's own, the coordinator's certificate on the manager, and one for each agent.
 *
 * @throws TestbedError with what the `ca` command said.
 */
export async function issueCertificates(record: BedRecord): Promise<void> {
  const configDir = path.join(paths.bed(record.name), 'config');
  await ca('init', '--config-dir', configDir);
  await Promise.all(
    record.nodes.map(async (node) => {
      const etc = path.join(paths.host(record.name, node.name), 'up/etc/swarmcut');
      await mkdir(etc, { recursive: true, mode: 0o700 });
      const out = path.join(etc, 'agent');
      await ca('issue', node.name, '--address', node.address, '--config-dir', configDir, '--out', out);
    }),
  );
  const manager = record.nodes[0];
  if (manager !== undefined) {
    const etc = path.join(paths.host(record.name, manager.name), 'up/etc/swarmcut');
    await cp(configDir, etc, { recursive: true });
  }
}

async function ca(...args: string[]): Promise<void> {
  const main = path.join(projectDir(), 'dist/coordinator/main.js');
  const result = await execa(process.execPath, [main, 'ca', ...args], { reject: false, all: true, stdin: 'ignore' });
  if (result.exitCode !== 0) {
    throw new TestbedError(
      `'coordinator ca ${args.join(' ')}' failed:\n  ${result.all.trim().split('\n').join('\n  ')}`,
    );
  }
}
