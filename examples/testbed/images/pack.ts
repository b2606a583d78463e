/** What images are made of without an engine: layers as tars, put together in the form that `docker load` takes. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';

/** A layer: an uncompressed tar in the cache, and its sha256 in hex (Docker's "diff id"). */
export interface Layer {
  readonly file: string;
  readonly digest: string;
}

/** An image ready to be loaded. */
export interface Image {
  /** As engines name it: `sha256:` and the digest of its configuration. */
  readonly id: string;
  /** Reference under which it is loaded. */
  readonly reference: string;
  /** A tar for `docker load`. */
  readonly file: string;
}

/** Nobody loads what is so old and not the newest. Milliseconds. */
const IN_USE_MS = 30 * 60_000;

/**
 * Puts layers of one directory together, unless that has been done.
 *
 * @param prefix the image's file name begins so; older ones that begin so are removed
 */
export async function packImage(
  reference: string,
  prefix: string,
  layers: readonly [Layer, ...Layer[]],
  packing: () => void,
): Promise<Image> {
  const dir = path.dirname(layers[0].file);
  const config = JSON.stringify(imageConfig(layers));
  const id = createHash('sha256').update(config).digest('hex');
  const file = path.join(dir, `${prefix}${id.slice(0, 16)}.tar`);
  if (!(await exists(file))) {
    packing();
    await archive(file, id, config, reference, layers);
    await removeOthers(prefix, file);
  }
  // It is in use from now on.
  await utimes(file, new Date(), new Date());
  return { id: `sha256:${id}`, reference, file };
}

function imageConfig(layers: readonly Layer[]): unknown {
  const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch;
  return {
    architecture,
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'NODE_ENV=production'],
      WorkingDir: '/app',
      Cmd: ['sh'],
    },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${layer.digest}`) },
    history: layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'swarmcut testbed' })),
  };
}

/** The tar that `docker load` reads: a manifest, the configuration, the layers. */
async function archive(
  file: string,
  id: string,
  config: string,
  reference: string,
  layers: readonly Layer[],
): Promise<void> {
  const dir = path.dirname(file);
  await inStage(dir, async (stage) => {
    const names = layers.map((layer) => path.basename(layer.file));
    const manifest = [{ Config: `${id}.json`, RepoTags: [reference], Layers: names }];
    await writeFile(path.join(stage, 'manifest.json'), JSON.stringify(manifest));
    await writeFile(path.join(stage, `${id}.json`), config);
    const unfinished = `${stage}.tar`;
    const parts = ['-C', stage, 'manifest.json', `${id}.json`, '-C', dir, ...names];
    await execa('tar', ['-cf', unfinished, ...parts]);
    await rename(unfinished, file);
  });
}

/** A tar whose bytes depend on nothing but the files' names, modes and contents. */
export async function tar(dir: string, file: string, options: readonly string[] = []): Promise<void> {
  const unfinished = path.join(path.dirname(file), `build-${process.pid}-tar`);
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  await execa('tar', [...same, ...options, '-C', dir, '-cf', unfinished, '.']);
  await rename(unfinished, file);
}

/** Gives a new directory in `dir` to the action, and removes it after. */
export async function inStage<T>(dir: string, action: (stage: string) => Promise<T>): Promise<T> {
  const stage = await mkdtemp(path.join(dir, 'build-'));
  try {
    return await action(stage);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** @param kept the name stands for the content: the digest is noted beside it */
export async function fileDigest(file: string, kept = false): Promise<string> {
  const noted = kept ? await readFile(`${file}.sha256`, 'utf8').catch(() => undefined) : undefined;
  if (noted !== undefined) return noted;
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  const digest = hash.digest('hex');
  // The name of an unfinished file may come again with other content.
  if (kept) await writeFile(`${file}.sha256`, digest);
  return digest;
}

/** Removes what killed builds left behind. The cache's lock is held. */
export async function removeUnfinished(dir: string): Promise<void> {
  for (const entry of await readdir(dir)) {
    if (entry.startsWith('build-')) await rm(path.join(dir, entry), { recursive: true, force: true });
  }
}

/** Removes former versions, but those that somebody may be about to load: beds of several trees share the cache. */
export async function removeOthers(prefix: string, keep: string): Promise<void> {
  const dir = path.dirname(keep);
  for (const entry of await readdir(dir)) {
    const full = path.join(dir, entry);
    if (!entry.startsWith(prefix) || full.startsWith(keep)) continue;
    const found = await stat(full).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > IN_USE_MS) await rm(full, { recursive: true, force: true });
  }
}

export async function exists(file: string): Promise<boolean> {
  return readdir(path.dirname(file)).then(
    (names) => names.includes(path.basename(file)),
    () => false,
  );
}
