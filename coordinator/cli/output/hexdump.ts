const WIDTH = 16;

/**
 * Bytes as `hexdump -C` shows them: offset, hex, printable characters; a line that repeats the one before is left out, with one `*` for all of
 * them; the last line is the number of bytes. Given out in pieces: there may be a lot.
 */
export function* hexdump(bytes: Uint8Array): Generator<string> {
  let starred = false;
  for (let at = 0; at < bytes.length; at += WIDTH) {
    const row = bytes.subarray(at, at + WIDTH);
    if (at > 0 && row.length === WIDTH && equal(row, bytes.subarray(at - WIDTH, at))) {
      if (!starred) yield '*';
      starred = true;
      continue;
    }
    starred = false;
    yield rowText(at, row);
  }
  if (bytes.length > 0) yield offsetText(bytes.length);
}

function rowText(at: number, row: Uint8Array): string {
  const hex = [...row].map((byte) => byte.toString(16).padStart(2, '0'));
  const left = hex.slice(0, WIDTH / 2).join(' ');
  const right = hex.slice(WIDTH / 2).join(' ');
  const half = (WIDTH / 2) * 3 - 1;
  const text = [...row].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
  return `${offsetText(at)}  ${left.padEnd(half)}  ${right.padEnd(half)}  |${text}|`;
}

function offsetText(at: number): string {
  return at.toString(16).padStart(8, '0');
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, index) => byte === b[index]);
}
