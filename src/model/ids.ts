/** Crockford's base 32 in lower case: no i, l, o, u. Sorts like the numbers it writes. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Ids count from here, so that they stay short: 2024-01-01T00:00:00Z, in milliseconds since 1970. */
const ID_EPOCH_MS = 1_704_067_200_000;

/** Characters that write the time (34 years of milliseconds), and random ones behind them. */
const TIME_LENGTH = 8;
const RANDOM_LENGTH = 2;

export const ID_PATTERN = new RegExp(`^[${ALPHABET}]{${TIME_LENGTH + RANDOM_LENGTH}}$`);

/**
 * A new id of a snapshot, restore or migration: short, and later ones sort behind earlier ones.
 * @param nowMs wall clock, milliseconds since 1970
 * @param random a number from 0 (inclusive) to 1 (exclusive)
 */
export function newId(nowMs: number, random: number): string {
  return (
    encode(Math.max(0, Math.floor(nowMs) - ID_EPOCH_MS), TIME_LENGTH) +
    encode(Math.floor(random * 32 ** RANDOM_LENGTH), RANDOM_LENGTH)
  );
}

function encode(value: number, length: number): string {
  let rest = value;
  let text = '';
  for (let i = 0; i < length; i++) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
