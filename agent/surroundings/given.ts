import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SwarmcutError } from '../../src/model/errors.ts';
import { ENGINE_FILES } from './engine-files.ts';

/** A mount as a bundle or runc's state has it. */
export interface GivenMount {
  readonly destination: string;
  readonly source?: string;
}

/** As Swarm limits them (500 kB), and more. Bytes. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * The secrets and configs of a container: files that the engine keeps below the container's own directory and mounts into it.
 * @returns by path in the container: HMAC-SHA256 of their contents, hex. So that what is recorded gives no secret away
 * @param salt the key
 */
export async function digestGiven(
  containerId: string,
  mounts: readonly GivenMount[],
  salt: string,
): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const { destination, source } of mounts) {
    if (source === undefined || !isGiven(containerId, destination, source)) continue;
    const contents = await readFile(source).catch(() => undefined);
    if (contents === undefined || contents.length > MAX_BYTES) continue;
    digests[destination] = createHmac('sha256', salt).update(contents).digest('hex');
  }
  return digests;
}

function isGiven(containerId: string, destination: string, source: string): boolean {
  const engineOwn = (ENGINE_FILES as readonly string[]).includes(destination) || destination === '/dev/shm';
  return !engineOwn && source.includes(`/containers/${containerId}/`);
}

/**
 * @param saved as {@link digestGiven} had them at the cut
 * @param present of the new container, with the same salt
 * @throws SwarmcutError `precondition`, naming a file whose contents are others: the program's memory has the old ones
 */
export function refuseOtherGiven(
  saved: Readonly<Record<string, string>>,
  present: Readonly<Record<string, string>>,
): void {
  for (const [path, digest] of Object.entries(saved)) {
    if (present[path] === digest) continue;
    const what = present[path] === undefined ? 'does not have' : 'has other contents in';
    throw new SwarmcutError(
      'precondition',
      `the new container ${what} the secret or config ${path} that the saved one had`,
      {
        where: { file: path },
        advice:
          'make the secret or config again with the contents that it had at the snapshot (`docker secret ls`, `docker config ls`), then restore',
      },
    );
  }
}
