import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isSealed, type Part } from '../../src/model/checkpoint.ts';
import type { PartKeys } from '../../src/storage/encryption/snapshot-key.ts';
import { refuseDisk, unseal, unsealInto, type PartStore } from '../checkpoints/store/index.ts';
import type { LateParts } from '../transfer/late-parts.ts';
import type { StagedPart } from '../files/save.ts';

/** The parts of one task as files that can be read. */
export interface OpenedState {
  /** Puts the parts of a kind under their paths into a folder. */
  materialize(kind: Part['kind'], folder: string): Promise<void>;
  /** The archives, one after another: an opened one is gone when the next is asked for. */
  files(): AsyncGenerator<StagedPart, void, undefined>;
}

/**
 * Parts that are not encrypted are linked where they lie. Encrypted ones are opened, in memory; of the archives there is never more than one.
 * @param options `scratch`: a folder in memory, which need not be there
 */
export function openState(
  parts: readonly Part[],
  options: {
    readonly store: PartStore;
    readonly keys: PartKeys | undefined;
    readonly scratch: string;
    readonly signal: AbortSignal;
    /** Some that are not in the store yet. */
    readonly late?: LateParts;
  },
): OpenedState {
  const { store, scratch, late } = options;
  const path = async (sha256: string): Promise<string> => late?.path(sha256) ?? (await store.path(sha256));
  const opening = { ...options, store: { path } };
  return {
    async materialize(kind, folder) {
      const wanted = parts.filter((part) => part.kind === kind);
      const [sealed, plain] = [wanted.filter(isSealed), wanted.filter((part) => !isSealed(part))];
      await store.materialize(plain, folder, (sha256) => late?.path(sha256));
      if (sealed.length > 0) await refuseDisk(folder, bytesOf(sealed));
      await unsealInto(sealed, folder, opening);
    },
    async *files() {
      for (const part of parts) {
        const { kind, path: name, sha256 } = part;
        if (kind === 'CRIU' || kind === 'CHANNELS') continue;
        if (!isSealed(part)) {
          yield { kind, path: name, file: await path(sha256) };
          continue;
        }
        const file = join(scratch, sha256);
        await mkdir(scratch, { recursive: true, mode: 0o700 });
        await refuseDisk(scratch, bytesOf([part]));
        try {
          await unseal(part, file, opening);
          yield { kind, path: name, file };
        } finally {
          await rm(file, { force: true });
        }
      }
    },
  };
}

function bytesOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
