import { X509Certificate } from 'node:crypto';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { PRIVATE_DIRECTORY_MODE, PRIVATE_FILE_MODE } from '../../src/platform/files.ts';
import { serialOf } from '../../src/rpc/identity/authorities.ts';
import { authorityRecords } from './layout.ts';

const lineSchema = z.object({
  /** Lower-case hex. */
  serial: z.string(),
  /** A node's name, or `coordinator`. */
  name: z.string(),
  /** ISO 8601. */
  issuedAt: z.string(),
  notAfter: z.string(),
});

/** A certificate that the authority has issued. */
export type IssuedCertificate = z.infer<typeof lineSchema>;

/**
 * Notes a certificate before it is given to anybody, so that it can be revoked by the node's name. One line each in `<config>/ca/issued.jsonl`.
 */
export async function noteIssued(configDirectory: string, name: string, pem: string, now: Date): Promise<void> {
  const { issued } = authorityRecords(configDirectory);
  const certificate = new X509Certificate(pem);
  const line: IssuedCertificate = {
    serial: serialOf(certificate),
    name,
    issuedAt: now.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
  };
  await mkdir(dirname(issued), { recursive: true, mode: PRIVATE_DIRECTORY_MODE });
  await appendFile(issued, `${JSON.stringify(line)}\n`, { mode: PRIVATE_FILE_MODE, flush: true });
}

/** All that were noted, oldest first; older versions noted none. A line that a crash has cut short is left out. */
export async function issuedCertificates(configDirectory: string): Promise<IssuedCertificate[]> {
  const text = await readFile(authorityRecords(configDirectory).issued, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').flatMap((line) => {
    try {
      const parsed = lineSchema.safeParse(JSON.parse(line));
      return parsed.success ? [parsed.data] : [];
    } catch {
      return [];
    }
  });
}
