/** What was read, in the base unit; or, for text that is not understood, what to write instead. */
export type Reading = { readonly value: number } | { readonly advice: string };

/** The units of one kind of quantity, and how it is explained. */
export interface Units {
  /** How much of the base unit each is. */
  readonly factors: Readonly<Record<string, number>>;
  /** What a bare number may have meant: `s`, `ms`. */
  readonly likely: readonly string[];
  /** Examples: `500ms, 30s or 2m`. */
  readonly examples: string;
}

const PATTERN = /^(\d+(?:\.\d+)?) ?([A-Za-z/]+)$/;
const BARE = /^\d+(?:\.\d+)?(?:e\d+)?$/i;

/** Reads a number from 0 up with its unit. A bare number is refused: it means something else to everybody. */
export function readQuantity(text: string, { factors, likely, examples }: Units): Reading {
  const trimmed = text.trim();
  const [, number = '', unit = ''] = PATTERN.exec(trimmed) ?? [];
  const factor = Object.hasOwn(factors, unit) ? factors[unit] : undefined;
  if (factor !== undefined) return { value: exact(Number(number) * factor) };
  if (!BARE.test(trimmed)) return { advice: `write it like ${examples}` };
  return { advice: `did you mean ${likely.map((one) => `${Number(trimmed)}${one}`).join(' or ')}?` };
}

/** Whether the text is a number that only lacks its unit. */
export function lacksUnit(text: string): boolean {
  return BARE.test(text.trim());
}

/** Without the noise of binary fractions: 200 * 0.001 is 0.2. */
function exact(value: number): number {
  return Number(value.toPrecision(15));
}
