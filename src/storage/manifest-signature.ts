import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SwarmcutError } from '../model/errors.ts';

/** Beside the manifest; the manifest's own file holds nothing but what is signed, to the byte. */
export const SIGNATURE = 'manifest.sig.json';

const signatureSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** Of the coordinator that signed, PEM. */
  certificate: z.string(),
  /** Base 64. */
  signature: z.base64(),
});

/** A key that signs manifests, and whose signatures count. */
export interface ManifestSigning {
  sign(bytes: Uint8Array): { readonly certificate: string; readonly signature: Uint8Array };
  /**
   * Why these bytes are not signed by somebody who may; undefined if they are.
   * @throws SwarmcutError when that cannot be found out here
   */
  problem(
    bytes: Uint8Array,
    signature: { readonly certificate: string; readonly signature: Uint8Array },
  ): string | undefined;
}

/**
 * Who answers for a manifest's bytes. `signed`: a coordinator of our authority. `unsigned`: nobody; it is from before manifests were signed, or
 * its signature was taken away. `wrong`: there is a signature, and it does not hold for these bytes. `unknown`: it cannot be checked on this machine.
 */
export type Vouching =
  { readonly state: 'signed' | 'unsigned' } | { readonly state: 'wrong' | 'unknown'; readonly why: string };

/** The contents of the file beside the manifest. */
export function signatureFile(bytes: Uint8Array, signing: ManifestSigning): string {
  const { certificate, signature } = signing.sign(bytes);
  const file: z.infer<typeof signatureSchema> = {
    schemaVersion: 1,
    certificate,
    signature: Buffer.from(signature).toString('base64'),
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** Checks the bytes of a manifest against the signature in its directory. */
export async function readVouching(bytes: Uint8Array, directory: string, signing: ManifestSigning): Promise<Vouching> {
  let text: string;
  try {
    text = await readFile(join(directory, SIGNATURE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: 'unsigned' };
    throw error;
  }
  return vouchingOf(bytes, text, signing);
}

/** Checks the bytes of a manifest against the contents of its signature's file. */
export function vouchingOf(bytes: Uint8Array, text: string, signing: ManifestSigning): Vouching {
  const parsed = signatureSchema.safeParse(jsonOf(text));
  if (!parsed.success) return { state: 'wrong', why: `${SIGNATURE} cannot be read` };
  const { certificate, signature } = parsed.data;
  try {
    const why = signing.problem(bytes, { certificate, signature: Buffer.from(signature, 'base64') });
    return why === undefined ? { state: 'signed' } : { state: 'wrong', why };
  } catch (error) {
    if (error instanceof SwarmcutError) return { state: 'unknown', why: error.message };
    throw error;
  }
}

/** What is wrong with a manifest of which nobody should act, in words; undefined for a signed one. */
export function vouchingText(vouching: Vouching): string | undefined {
  switch (vouching.state) {
    case 'signed':
      return undefined;
    case 'unsigned':
      return 'its manifest is unsigned';
    case 'wrong':
      return `the signature of its manifest does not block: ${vouching.why}`;
    case 'unknown':
      return `the signature of its manifest cannot be checked: ${vouching.why}`;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
