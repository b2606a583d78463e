import { readNextKey, writeNextCertificate, writeNextKey } from '../../../src/rpc/identity/identity-files.ts';
import type { Authority } from './authority.ts';

/** Gives the coordinator a new key, and a certificate for it. Crash-safe: the certificate decides which key counts. */
export async function renewOwnCertificate({
  identityFolder,
  issue,
}: Pick<Authority, 'identityFolder' | 'issue'>): Promise<void> {
  const { certificateRequest, newPrivateKey } = await import('../../../src/rpc/identity/certificate-request.ts');
  const known = readNextKey(identityFolder)?.toString('utf8');
  const key = known ?? (await newPrivateKey());
  if (known === undefined) await writeNextKey(identityFolder, key);
  await writeNextCertificate(identityFolder, await issue({ role: 'coordinator' }, await certificateRequest(key)));
}
