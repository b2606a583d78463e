const CONTEXT_LINES = 3;

type Line = readonly [mark: ' ' | '-' | '+', text: string];

/**
 * What a change would do to a file, in the style of `diff -u`; '' if nothing. For configuration files: it takes time and memory by the
 * product of the two lengths.
 */
export function unifiedDiff(path: string, before: string | undefined, after: string | undefined): string {
  if (before === after) return '';
  const all = compare(linesOf(before), linesOf(after));
  const head = [`--- ${before === undefined ? '/dev/null' : path}`, `+++ ${after === undefined ? '/dev/null' : path}`];
  return [...head, ...hunks(all)].join('\n');
}

function linesOf(text: string | undefined): string[] {
  if (text === undefined || text === '') return [];
  return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
}

/** By the longest common subsequence. */
function compare(before: readonly string[], after: readonly string[]): Line[] {
  const common = Array.from({ length: before.length + 1 }, () => new Array<number>(after.length + 1).fill(0));
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0;
  for (const [i, row] of [...common.entries()].reverse()) {
    if (i === before.length) continue;
    for (let j = after.length - 1; j >= 0; j--) {
      row[j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: Line[] = [];
  for (let i = 0, j = 0; i < before.length || j < after.length;) {
    if (i < before.length && before[i] === after[j]) {
      lines.push([' ', before[i] ?? '']);
      i++;
      j++;
    } else if (i < before.length && (j >= after.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(['-', before[i++] ?? '']);
    } else {
      lines.push(['+', after[j++] ?? '']);
    }
  }
  return lines;
}

function hunks(all: readonly Line[]): string[] {
  const shown = all.map((_line, index) =>
    all.slice(Math.max(0, index - CONTEXT_LINES), index + CONTEXT_LINES + 1).some(([mark]) => mark !== ' '),
  );
  const result: string[] = [];
  const count = { old: 1, new: 1 };
  for (let start = 0; start < all.length; start++) {
    if (shown[start] === true) {
      let end = start;
      while (shown[end] === true) end++;
      const hunk = all.slice(start, end);
      const size = (not: string): number => hunk.filter(([mark]) => mark !== not).length;
      const range = (first: number, length: number): string => `${length === 0 ? first - 1 : first},${length}`;
      result.push(`@@ -${range(count.old, size('+'))} +${range(count.new, size('-'))} @@`);
      result.push(...hunk.map(([mark, text]) => mark + text));
      count.old += size('+');
      count.new += size('-');
      start = end - 1;
    } else {
      count.old++;
      count.new++;
    }
  }
  return result;
}
