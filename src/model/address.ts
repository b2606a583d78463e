/**
 * An IP address as text: 4 bytes as a dotted quad, 16 as IPv6 (RFC 5952). An IPv4 address mapped into IPv6 is written as IPv4, for it
 * travels as such.
 */
export function addressText(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join('.');
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (mapped) return bytes.slice(12).join('.');
  const groups: number[] = [];
  for (let at = 0; at + 1 < bytes.length; at += 2) groups.push(((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0));
  const gap = longestZeros(groups);
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (gap === undefined) return hex(groups);
  return `${hex(groups.slice(0, gap.from))}::${hex(groups.slice(gap.from + gap.length))}`;
}

/** The first of the longest runs of at least two zero groups. */
function longestZeros(groups: readonly number[]): { readonly from: number; readonly length: number } | undefined {
  let best: { from: number; length: number } | undefined;
  for (let from = 0; from < groups.length; from++) {
    let length = 0;
    while (groups[from + length] === 0) length++;
    if (length >= 2 && length > (best?.length ?? 0)) best = { from, length };
  }
  return best;
}

const DOT = 46;
const ZERO = 48;

/** Writes a dotted quad as 4 bytes. For each connection, hence by hand. @returns false if it is none */
export function writeIPv4(bytes: Uint8Array, at: number, address: string): boolean {
  let part = 0;
  let digits = 0;
  let place = at;
  for (let index = 0; index < address.length; index++) {
    const code = address.charCodeAt(index);
    if (code === DOT) {
      if (digits === 0 || place === at + 3) return false;
      bytes[place++] = part;
      part = digits = 0;
      continue;
    }
    part = 10 * part + code - ZERO;
    digits += 1;
    if (code < ZERO || code > ZERO + 9 || digits > 3 || part > 255) return false;
  }
  bytes[place] = part;
  return digits > 0 && place === at + 3;
}
