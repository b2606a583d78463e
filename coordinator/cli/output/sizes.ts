import type { Manifest, Part } from '../../../src/model/checkpoint.ts';

/** Bytes that parts take up: the same content counts once. */
export function storedBytes(parts: readonly Part[]): number {
  return [...new Map(parts.map((part) => [part.sha256, part.sizeBytes])).values()].reduce((sum, size) => sum + size, 0);
}

export function snapshotBytes(manifest: Manifest): number {
  return storedBytes(manifest.tasks.flatMap((task) => task.parts));
}

/** Milliseconds that a task stood still: from its cut until it ran again; undefined when it was kept frozen. */
export function frozenMs(times: Manifest['tasks'][number]['times']): number | undefined {
  return times.thawedAtMs === 0 ? undefined : Math.max(0, times.thawedAtMs - times.frozenAtMs);
}
