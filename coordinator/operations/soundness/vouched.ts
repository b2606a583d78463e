import { SwarmcutError } from '../../../src/model/errors.ts';
import type { StoredSnapshot } from '../../../src/storage/catalogue.ts';
import { vouchingText } from '../../../src/storage/manifest-signature.ts';
import type { CoordinatorContext } from '../session/context.ts';

/**
 * Nobody acts on a manifest that no coordinator has signed, unless the user says so: then that is told and logged.
 * @throws SwarmcutError `damaged`
 */
export function refuseUnsigned(
  ctx: Pick<CoordinatorContext, 'emit' | 'log'>,
  { manifest, vouching }: StoredSnapshot,
  allowUnsigned: boolean,
): void {
  const problem = vouchingText(vouching);
  if (problem === undefined) return;
  const { id, stack } = manifest;
  if (!allowUnsigned) {
    throw new SwarmcutError('damaged', `snapshot ${id}: ${problem}`, {
      where: { stack },
      advice:
        'nothing was done; put manifest.json and manifest.sig.json back from a backup, or, if you know where the manifest comes from, use --allow-unsigned',
    });
  }
  ctx.log.warn({ snapshot: id, stack, vouching }, 'an unsigned manifest is used, as asked for by --allow-unsigned');
  ctx.emit({ kind: 'warning', message: `snapshot ${id}: ${problem}; used all the same, as --allow-unsigned says` });
}
