/**
 * What a terminal would obey instead of show, and what would make text look like other text: control characters (C0 with the line end, DEL,
 * C1), line and paragraph separators, marks of writing direction, halves of surrogate pairs.
 */
const UNSEEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/** Text from outside (labels, names, manifests, logs) for one line of a terminal: what cannot be seen is written as `\x1b`, `\u202e`. */
export function visible(text: string): string {
  return text.replace(UNSEEN, escaped);
}

/** As {@link visible}, but line ends and tabs stay: for text that may have several lines. */
export function visibleLines(text: string): string {
  return text.replace(UNSEEN, (character) =>
    character === '\n' || character === '\t' ? character : escaped(character),
  );
}

/** JSON that stays the same JSON and can be shown on a terminal: JSON itself lets DEL, C1 and marks of direction through. */
export function visibleJson(json: string): string {
  return json.replace(UNSEEN, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x20 ? character : `\\u${hex(code, 4)}`;
  });
}

/** The beginning of a text from outside, to be quoted in a message. @param limit characters */
export function excerpt(text: string, limit = 80): string {
  return text.length <= limit ? visible(text) : `${visible(text.slice(0, limit))}…`;
}

/** The first few of a list for a message, and how many more there are: `a, b and 3 more`. @param most so many are named */
export function firstFew(texts: readonly string[], { separator = ', ', most = 5 } = {}): string {
  const more = texts.length - most;
  return `${texts.slice(0, most).join(separator)}${more > 0 ? ` and ${more} more` : ''}`;
}

function escaped(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
