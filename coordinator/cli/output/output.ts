import { styleText } from 'node:util';
import Table from 'cli-table3';
import { visibleJson, visibleLines } from '../../../src/model/visible.ts';

type Colour = 'red' | 'green' | 'yellow' | 'dim' | 'bold';

/** Colours only where somebody looks: not in pipes, not with NO_COLOR. Control bytes in the text are written out. */
export function paint(colour: Colour, text: string): string {
  const shown = visibleLines(text);
  return coloured() ? styleText(colour, shown) : shown;
}

function coloured(): boolean {
  return process.stdout.isTTY && (process.env.NO_COLOR ?? '') === '';
}

/** What {@link paint} writes: the only escape sequences that reach the terminal. */
const PAINT = /(\u001b\[(?:1|2|22|31|32|33|39)m)/;

/** Text for the terminal, which may be painted in places: names, labels and logs come from outside, and their control bytes are written out. */
function shown(text: string): string {
  if (!coloured()) return visibleLines(text);
  return text
    .split(PAINT)
    .map((piece, index) => (index % 2 === 1 ? piece : visibleLines(piece)))
    .join('');
}

/** A table without borders: easy to read, easy to cut columns from. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const none = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
    'right-mid': '',
    middle: '  ',
  };
  const made = new Table({
    head: head.map((title) => paint('bold', title)),
    chars: none,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  // Before the columns are measured.
  made.push(...rows.map((row) => row.map(shown)));
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** A line on stdout. Everything that is a result goes there; progress and errors go to stderr. */
export function say(text: string): void {
  process.stdout.write(`${shown(text)}\n`);
}

/** One JSON document on stdout. */
export function sayJson(value: unknown): void {
  process.stdout.write(`${visibleJson(JSON.stringify(value, undefined, 2))}\n`);
}

const SIZE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** `0 B`, `12.3 kB`, `1.25 GB`: three digits, decimal units. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < SIZE_UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${SIZE_UNITS[unit] ?? ''}`;
}

/** `0.4 ms`, `12 ms`, `3.21 s`, `4 min 10 s`. */
export function durationText(milliseconds: number): string {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_995) return `${(milliseconds / 1000).toFixed(2)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** `just now`, `5 min ago`, `3 h ago`, `12 d ago`. */
export function ageText(then: Date, now: Date): string {
  const minutes = Math.floor((now.getTime() - then.getTime()) / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} d ago`;
}
