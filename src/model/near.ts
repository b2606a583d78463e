/** How many names an error message suggests at most. */
const SUGGESTIONS = 3;

/**
 * The candidates that the user may have meant, best first: those that begin with what was written or differ from it by few characters.
 * Empty when none is near.
 */
export function nearest(wanted: string, candidates: readonly string[]): string[] {
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  return candidates
    .map((name) => ({ name, distance: name.startsWith(wanted) && wanted !== '' ? 0 : distance(wanted, name) }))
    .filter((candidate) => candidate.distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, SUGGESTIONS)
    .map((candidate) => candidate.name);
}

/** Levenshtein's distance: insertions, deletions and replacements, each 1. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
