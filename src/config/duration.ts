const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** Milliseconds of `500ms`, `30s`, `1.5m`, `2h`, `7d`; undefined for anything else, and for zero. */
export function parseDurationMs(text: string): number | undefined {
  const match = PATTERN.exec(text.trim());
  if (match === null) return undefined;
  const milliseconds = Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0));
  return milliseconds > 0 ? milliseconds : undefined;
}
