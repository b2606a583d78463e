import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, SwarmcutError } from '../../../src/model/errors.ts';

/**
 * What the engine has written about a container before it called the runtime, `config.v2.json`: where the engine must not be asked, because it
 * holds the container's lock meanwhile. As it is: whoever reads it checks what it needs.
 * @param dataRoot the engine's, e.g. `/var/lib/docker`
 * @throws SwarmcutError `not-found` if the engine has no such container on disk, `failed`
 */
export function readDiskConfig(dataRoot: string, containerId: string): unknown {
  const file = join(dataRoot, 'containers', containerId, 'config.v2.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as unknown;
  } catch (error) {
    const missing = (error as { code?: unknown }).code === 'ENOENT';
    throw new SwarmcutError(missing ? 'not-found' : 'failed', `cannot read ${file}: ${messageOf(error)}`, {
      cause: error,
      ...(missing ? { advice: 'is this the data directory of the engine (docker info: Docker Root Dir)?' } : {}),
    });
  }
}
