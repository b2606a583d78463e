/**
 * Compares the numbers that versions begin with: `6.18.44-fc`, `1.1.15+ds1`, `4.2`. Missing ones count as 0.
 * @returns whether `version` is older than `other`
 */
export function isOlder(version: string, other: string): boolean {
  const [a, b] = [numbers(version), numbers(other)];
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function numbers(version: string): number[] {
  return (/^v?(\d+(?:\.\d+)*)/.exec(version)?.[1] ?? '0').split('.').map(Number);
}
