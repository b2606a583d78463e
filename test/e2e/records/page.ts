/** What runs of a matrix have found: kept as JSON, so that single runs add up, and shown between two marks of a page of the docs. */
import { readFile } from 'node:fs/promises';
import { replaceFile } from '../../../src/platform/files.ts';

/** Between these: generated. */
const BEGIN = '<!-- prettier-ignore-start -->';
const END = '<!-- prettier-ignore-end -->';
/** As files of a checkout are. */
const MODE = 0o644;

/**
 * Writes both, each at once and entirely, so that a run that is cut short loses at most what it has found last.
 * @param file of the results
 * @param page of the docs
 * @param shown Markdown, which replaces what stands between the marks
 */
export async function writeRecord(file: string, results: object, page: string, shown: string): Promise<void> {
  await replaceFile(file, `${JSON.stringify(results, undefined, 1)}\n`, MODE);
  const [head = '', rest = ''] = (await readFile(page, 'utf8')).split(BEGIN);
  await replaceFile(page, `${head}${BEGIN}\n\n${shown}\n\n${END}${rest.split(END)[1] ?? '\n'}`, MODE);
}

/** @returns undefined if there is no such file yet */
export async function readRecord(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

/** A table as prettier has it. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, at) => Math.max(3, ...[head, ...rows].map((row) => (row[at] ?? '').length)));
  const one = (row: readonly string[]): string =>
    `| ${row.map((text, at) => text.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [one(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(one)].join('\n');
}

/** What was seen, as one field of a table. @param most characters of it */
export function field(text: string, most: number): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('<', '&lt;').slice(0, most);
}
