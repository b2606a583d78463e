import { join } from 'node:path';
import type { Directories } from '../../../src/model/paths.ts';
import { SignatureCheck, Signer } from '../../../src/rpc/signatures.ts';
import { Catalogue } from '../../../src/storage/catalogue.ts';

/** The catalogue, its manifests signed with the coordinator's key and checked against the authority beside it. */
export function openCatalogue({ state, config }: Pick<Directories, 'state' | 'config'>): Catalogue {
  const folder = join(config, 'coordinator');
  const signer = new Signer(folder);
  const check = new SignatureCheck(folder);
  return new Catalogue(state, {
    sign: (bytes) => signer.sign('manifest', bytes),
    problem: (bytes, signature) => check.problem('manifest', bytes, signature),
  });
}
