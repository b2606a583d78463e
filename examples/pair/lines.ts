/** Cuts a stream into lines of text. */

/** Longest line taken; the pair's lines are numbers. */
const MAX_LINE = 64;

/** @returns a function that takes bytes and returns the lines complete with them. It throws Error if a line gets too long. */
export function lineReader(maxLine = MAX_LINE): (bytes: Buffer) => string[] {
  let rest = '';
  return (bytes) => {
    const lines = (rest + bytes.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLine)
      throw new Error(`no end of line after ${rest.length} bytes: "${rest.slice(0, MAX_LINE)}"`);
    return lines;
  };
}
