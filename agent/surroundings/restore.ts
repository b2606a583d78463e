import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { patchFileSizes } from '../../src/formats/criu-file-sizes.ts';
import { SwarmcutError } from '../../src/model/errors.ts';
import { replaceFile } from '../../src/platform/files.ts';
import { mountsOf } from '../linux/mountinfo.ts';
import { restorableMounts, type BundleSpec } from './bundle-spec.ts';
import { restoredEngineFiles, type RestoredFile } from './engine-files.ts';
import { digestGiven, refuseOtherGiven } from './given.ts';
import { readSurroundings } from './record.ts';
import { applySocketOptions } from './socket-options.ts';
import { restoredSysctls, type Sysctls } from './sysctls.ts';
import { applyThreadSettings } from './threads.ts';

/** What is put in place when the new container's namespaces are there, before CRIU makes anything in them. */
export interface RestoredSurroundings {
  readonly sysctls: Sysctls;
  readonly files: readonly RestoredFile[];
}

/** A container that waits for a restore. */
export interface WaitingBundle {
  /** Folder with its `config.json`. */
  readonly bundle: string;
  /** CRIU's images, which are changed where they must be. */
  readonly imageDir: string;
}

/** Makes bundle and images of a container that is about to be restored fit each other. @throws SwarmcutError `damaged`; the system's error */
export async function prepareSurroundings({ bundle, imageDir }: WaitingBundle): Promise<RestoredSurroundings> {
  const spec = await readSpec(bundle);
  const mounts = restorableMounts(spec, await mountsOf('self'));
  await replaceFile(configOf(bundle), JSON.stringify({ ...spec, mounts }));
  const saved = await readSurroundings(imageDir);
  const files = await restoredEngineFiles(saved?.engineFiles ?? {}, mounts, spec.hostname ?? '');
  await fitSizes(imageDir, files);
  return { sysctls: restoredSysctls(spec.linux?.sysctl ?? {}, saved?.sysctls), files };
}

/**
 * Gives the processes of a restored task what CRIU has not: they are there, and the block is not open yet.
 * @param pid of the container's first process
 */
export async function applySurroundings(pid: number, imageDir: string): Promise<void> {
  const saved = await readSurroundings(imageDir);
  if (saved === undefined) return;
  await applyThreadSettings(pid, saved.threads);
  await applySocketOptions(pid, saved.sockets);
}

/** The files are replaced, not changed: they may be links into the store. */
async function fitSizes(imageDir: string, files: readonly RestoredFile[]): Promise<void> {
  if (files.length === 0) return;
  const image = join(imageDir, 'files.img');
  const sizes = new Map(files.map(({ path, contents }) => [path, contents.length]));
  const patched = patchFileSizes(await readFile(image), sizes);
  if (patched !== undefined) await replaceFile(image, patched);
}

/**
 * A program whose memory knows other files than it finds would go wrong, sooner or later.
 * @param waiting the new container
 * @throws SwarmcutError `precondition`: it has another image, or a secret or config with other contents
 */
export async function refuseOtherSurroundings(
  waiting: WaitingBundle & { readonly containerId: string; readonly imageDigest: string },
): Promise<void> {
  const saved = await readSurroundings(waiting.imageDir);
  if (saved === undefined) return;
  if (saved.image !== '' && waiting.imageDigest !== '' && saved.image !== waiting.imageDigest) {
    throw new SwarmcutError(
      'precondition',
      `the new container has another image (${short(waiting.imageDigest)}) than the saved one had (${short(saved.image)})`,
      {
        advice:
          'its tag means something else now, or here: tag the former image again, or bring it to this node (`docker save`, `docker load`), then restore',
      },
    );
  }
  const { mounts = [] } = await readSpec(waiting.bundle);
  refuseOtherGiven(saved.given, await digestGiven(waiting.containerId, mounts, saved.salt));
}

async function readSpec(bundle: string): Promise<BundleSpec> {
  return JSON.parse(await readFile(configOf(bundle), 'utf8')) as BundleSpec;
}

function configOf(bundle: string): string {
  return join(bundle, 'config.json');
}

function short(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12);
}
