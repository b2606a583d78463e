/** One run of bytes, copied from several. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A copy of its own: a view of a Buffer's memory would change with it. */
export function copied(bytes: Uint8Array): Uint8Array {
  return joined([bytes]);
}
