/** As much of WebSocket (RFC 6455) as is needed for short texts in one frame each. */
import { createHash } from 'node:crypto';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const FIN_TEXT = 0x81;
const MASKED = 0x80;

export function acceptKey(key: string): string {
  return createHash('sha1').update(`${key}${GUID}`).digest('base64');
}

/** A text of less than 126 bytes as a frame. @param mask four bytes: the frame is a client's */
export function textFrame(text: string, mask?: Buffer): Buffer {
  const body = Buffer.from(text);
  if (body.length > 125) throw new Error(`${body.length} bytes: more than 125`);
  if (mask === undefined) return Buffer.concat([Buffer.from([FIN_TEXT, body.length]), body]);
  return Buffer.concat([Buffer.from([FIN_TEXT, MASKED | body.length]), mask, masked(body, mask)]);
}

/** Reads one frame by means of `bytes`, which gives the next so many. @throws Error on any other kind of frame */
export async function readText(bytes: (count: number) => Promise<Buffer>): Promise<string> {
  const [kind = 0, length = 0] = await bytes(2);
  if (kind !== FIN_TEXT || (length & ~MASKED) > 125) throw new Error(`a frame of kind ${kind}, length ${length}`);
  const mask = (length & MASKED) === 0 ? undefined : await bytes(4);
  const body = await bytes(length & ~MASKED);
  return (mask === undefined ? body : masked(body, mask)).toString('utf8');
}

function masked(body: Buffer, mask: Buffer): Buffer {
  return Buffer.from(body.map((byte, at) => byte ^ (mask[at % 4] ?? 0)));
}
