import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../src/platform/files.ts';

interface OciConfig {
  hooks?: { prestart?: { path: string; args?: string[]; timeout?: number }[] } & Record<string, unknown>;
}

/**
 * Adds a prestart hook behind those of the engine to a bundle's `config.json` (OCI runtime specification, "POSIX-platform Hooks"): runc
 * calls it in a restore after the engine has put the interfaces into the network namespace, and before CRIU makes the sockets.
 */
export async function addPrestartHook(bundle: string, script: string): Promise<void> {
  const file = join(bundle, 'config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as OciConfig;
  const hooks = config.hooks ?? {};
  const others = (hooks.prestart ?? []).filter((hook) => hook.path !== script);
  const changed = {
    ...config,
    hooks: { ...hooks, prestart: [...others, { path: script, args: [script], timeout: 20 }] },
  };
  await replaceFile(file, JSON.stringify(changed));
}
