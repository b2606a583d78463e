import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

let cached: string | undefined;

/**
 * swarmcut's own version, from the package.json above this file: the same whether it runs from the sources or from `dist/`.
 * `0.0.0` when there is none (a copied file tree), which must not keep anything from running.
 */
export function swarmcutVersion(): string {
  cached ??= findVersion(dirname(fileURLToPath(import.meta.url)));
  return cached;
}

function findVersion(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    try {
      const parsed = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        name?: unknown;
        version?: unknown;
      };
      if (parsed.name === 'swarmcut' && typeof parsed.version === 'string') return parsed.version;
    } catch {
      // Not here: look one folder up.
    }
    if (dirname(folder) === folder) return '0.0.0';
  }
}
