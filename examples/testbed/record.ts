/** bed.json: what a bed consists of, written before anything of it is made. */
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { BEDS_DIR, TestbedError, paths } from './layout.ts';
import type { BedRecord } from './layout.ts';
import { messageOf } from './progress.ts';

const recordSchema = z.object({
  name: z.string(),
  prefix: z.string(),
  root: z.string(),
  nodes: z.array(z.object({ name: z.string(), address: z.string() })),
});

/** The bed's record, or `undefined` if there is no such bed (or it was never even begun, or its record is damaged). */
export async function readRecord(bed: string): Promise<BedRecord | undefined> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(paths.record(bed), 'utf8')));
  } catch {
    return undefined;
  }
}

/** Writes the bed's record, at once and entirely. */
export async function writeRecord(record: BedRecord): Promise<void> {
  await mkdir(paths.bed(record.name), { recursive: true, mode: 0o700 });
  const file = paths.record(record.name);
  await writeFile(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`);
  await rename(`${file}.new`, file);
}

/** The records of all beds of this machine. */
export async function listBeds(): Promise<BedRecord[]> {
  const names = await readdir(BEDS_DIR).catch(() => []);
  const records = await Promise.all(names.map(readRecord));
  return records.filter((record) => record !== undefined);
}

/**
 * The record of a bed that must exist.
 *
 * @throws TestbedError naming the beds that do.
 */
export async function requireRecord(bed: string): Promise<BedRecord> {
  const record = await readRecord(bed);
  if (record !== undefined) return record;
  const others = await listBeds().catch((error: unknown) => {
    throw new TestbedError(`cannot read ${BEDS_DIR}: ${messageOf(error)}`);
  });
  const known = others.map((other) => other.name).join(', ');
  throw new TestbedError(
    `there is no test bed '${bed}'${known === '' ? '' : ` (there is: ${known}; see --name)`}: make one with 'coordinator testbed up'`,
  );
}
