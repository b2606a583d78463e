import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, SwarmcutError } from '../../src/model/errors.ts';
import { socketSchema } from './socket-options.ts';
import { threadSchema } from './threads.ts';

/** Lies among CRIU's images, which never begin like this. */
const FILE_NAME = 'swarmcut-surroundings.json';

const surroundingsSchema = z.object({
  version: z.literal(1),
  /** `sha256:…` of the image's configuration. */
  image: z.string(),
  /** Settings of the network namespace that are not those of a fresh one, by path below `/proc/sys` (`net/core/somaxconn`). */
  sysctls: z.record(z.string(), z.string()),
  /** Contents, in Base64, of the files that the engine mounts into every container, by path in the container. */
  engineFiles: z.record(z.string(), z.string()),
  /** Secrets and configs, by path in the container: HMAC-SHA256 of their contents, hex, with {@link Surroundings.salt} as key. */
  given: z.record(z.string(), z.string()),
  salt: z.string(),
  /** All processors that the container might use, as the kernel lists them. */
  processors: z.string().optional(),
  threads: z.array(threadSchema),
  sockets: z.array(socketSchema),
});

/** What a task lives in and CRIU does not save: what the engine, the kernel's defaults or Swarm would put in its place elsewhere. */
export type Surroundings = z.infer<typeof surroundingsSchema>;

/** Puts the record beside CRIU's images, with which it is stored and fetched. */
export async function writeSurroundings(imageDir: string, surroundings: Surroundings): Promise<void> {
  await writeFile(join(imageDir, FILE_NAME), JSON.stringify(surroundings), { mode: 0o600 });
}

/**
 * Undefined for a checkpoint of a version that recorded nothing.
 * @throws SwarmcutError `damaged`
 */
export async function readSurroundings(imageDir: string): Promise<Surroundings | undefined> {
  const file = join(imageDir, FILE_NAME);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return surroundingsSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new SwarmcutError('damaged', `${FILE_NAME} of the checkpoint is not understood: ${messageOf(error)}`, {
      where: { file },
      advice: 'was it taken by a later version of swarmcut? Use that one',
      cause: error,
    });
  }
}
