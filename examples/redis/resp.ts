/** As much of Redis' protocol (RESP2) as the client needs. */

/** A reply; an error reply is an Error, so that it cannot be taken for a text. */
export type Reply = string | number | null | Error;

/** A command as bytes: an array of bulk strings. */
export function encodeCommand(...words: readonly (string | number)[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`).join('')}`;
}

/** @returns a function that takes bytes and returns the replies complete with them; it throws Error on anything else. */
export function replyReader(): (bytes: Buffer) => Reply[] {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    const replies: Reply[] = [];
    for (;;) {
      const found = parse(rest);
      if (found === undefined) return replies;
      replies.push(found.reply);
      rest = rest.subarray(found.end);
    }
  };
}

function parse(data: Buffer): { reply: Reply; end: number } | undefined {
  const lineEnd = data.indexOf('\r\n');
  if (lineEnd < 0) return undefined;
  const text = data.toString('utf8', 1, lineEnd);
  const end = lineEnd + 2;
  switch (data.toString('latin1', 0, 1)) {
    case '+':
      return { reply: text, end };
    case '-':
      return { reply: new Error(text), end };
    case ':':
      return { reply: Number(text), end };
    case '$': {
      const length = Number(text);
      if (length < 0) return { reply: null, end };
      if (data.length < end + length + 2) return undefined;
      return { reply: data.toString('utf8', end, end + length), end: end + length + 2 };
    }
    default:
      throw new Error(`not a reply: "${data.toString('latin1', 0, Math.min(lineEnd, 80))}"`);
  }
}
