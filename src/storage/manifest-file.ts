import { ENCRYPTED_SCHEMA_VERSION, MANIFEST_SCHEMA_VERSION, manifestSchema } from '../model/checkpoint.ts';
import type { Manifest } from '../model/checkpoint.ts';
import { SwarmcutError, messageOf } from '../model/errors.ts';
import { unknownField } from '../model/manifests/manifest-rules.ts';
import { excerpt } from '../model/visible.ts';

/**
 * Reads a manifest strictly: what is missing, odd, twice there or unknown to this version is an error, not a guess.
 * @throws SwarmcutError `damaged` with the file and the field that is wrong
 */
export function parseManifest(text: string, id: string, file: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(id, file, `it is not JSON: ${messageOf(cause)}`);
  }
  const version = (value as { schemaVersion?: unknown } | null)?.schemaVersion;
  if (version !== undefined && version !== MANIFEST_SCHEMA_VERSION && version !== ENCRYPTED_SCHEMA_VERSION)
    throw otherVersion(id, file, version);
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue === undefined || issue.path.length === 0 ? 'manifest' : issue.path.join('.');
    throw damaged(id, file, `field ${field}: ${issue?.message ?? 'invalid'}`);
  }
  if (parsed.data.id !== id)
    throw damaged(id, file, `field id: says ${parsed.data.id}, but lies in the directory of ${id}`);
  const unknown = unknownField(value, parsed.data);
  if (unknown !== undefined)
    throw damaged(id, file, `field ${excerpt(unknown)} is not one of schema version ${parsed.data.schemaVersion}`);
  return parsed.data;
}

function damaged(id: string, file: string, why: string): SwarmcutError {
  return new SwarmcutError('damaged', `snapshot ${id} is damaged: ${why}`, {
    where: { file },
    advice: `put the file back from a backup, or remove the snapshot with \`coordinator rm ${id}\``,
  });
}

function otherVersion(id: string, file: string, version: unknown): SwarmcutError {
  const said = excerpt(JSON.stringify(version));
  return new SwarmcutError(
    'damaged',
    `snapshot ${id} is written in schema version ${said}; this swarmcut reads schema versions ${MANIFEST_SCHEMA_VERSION} and ${ENCRYPTED_SCHEMA_VERSION} only`,
    { where: { file }, advice: 'use the version of swarmcut that took it, or put the file back from a backup' },
  );
}
