import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { SwarmcutError } from '../../src/model/errors.ts';
import { replaceFile } from '../../src/platform/files.ts';
import { mountsOf } from '../linux/mountinfo.ts';
import { restorableMounts, type BundleSpec } from './bundle-spec.ts';
import { restoredEngineFiles, startScript, type RestoredFile } from './engine-files.ts';
import { digestGiven, refuseOtherGiven } from './given.ts';
import { readSurroundings } from './record.ts';
import { withoutLimits } from './resource-limits.ts';
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
  /** CRIU's images. */
  readonly imageDir: string;
}

/**
 * Gets a container that is about to be restored ready for what it lived in.
 * @param startDir becomes a folder with a script `start.sh`, to be run when the engine calls `runc start`; only if there is something to do then
 * @throws SwarmcutError `damaged`; the system's error
 */
export async function prepareSurroundings(
  { bundle, imageDir }: WaitingBundle,
  startDir: string,
): Promise<RestoredSurroundings> {
  const spec = await readSpec(bundle);
  const mounts = restorableMounts(spec, await mountsOf('self'));
  await replaceFile(configOf(bundle), JSON.stringify({ ...(await withoutLimits(spec, bundle)), mounts }));
  const saved = await readSurroundings(imageDir);
  const files = restoredEngineFiles(saved?.engineFiles ?? {}, mounts);
  if (files.length > 0) await prepareStart(files, startDir, spec.hostname ?? '');
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

async function prepareStart(files: readonly RestoredFile[], dir: string, freshName: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const { path, contents } of files) await writeFile(join(dir, basename(path)), contents, { mode: 0o600 });
  await writeFile(join(dir, 'start.sh'), startScript(files, dir, freshName), { mode: 0o600 });
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
