/**
 * The test bed that the end-to-end tests share: brought up before the first of them, removed after the last.
 *
 * - `SWARMCUT_BED=<name>`: which one (default `ci`). One that was there before is used as it is, and stays.
 * - One run at a time: a second one is refused, and told which process has the bed.
 * - `SWARMCUT_KEEP_BED=1`: leave it up for the next run, and use the one that a former run left.
 */
import type { TestProject } from 'vitest/node';
import { claimBed, down, listBeds, up } from '../../examples/testbed/index.ts';
import type { Progress } from '../../examples/testbed/index.ts';

/** Number of hosts that the tests need: a manager and two workers. */
export const BED_NODES = 3;

declare module 'vitest' {
  interface ProvidedContext {
    /** The run has made the bed, and may make it anew. */
    bedIsOurs: boolean;
  }
}

/** Name of the bed that the tests run on; the same in vitest's main process and in its workers. */
export function bedUnderTest(): string {
  const wanted = process.env.SWARMCUT_BED;
  return wanted === undefined || wanted === '' ? 'ci' : wanted;
}

/** Prints a bed's progress, for tests that make one. */
export function printProgress(progress: Progress): void {
  process.stderr.write(`[testbed ${(progress.elapsedMs / 1000).toFixed(1)} s] ${progress.message}\n`);
}

/** vitest's global setup; returns its teardown. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const name = bedUnderTest();
  // Let go by the kernel if this run dies.
  const claim = await claimBed({ name }, 'end-to-end tests');
  const existed = (await listBeds()).some((bed) => bed.name === name);
  const named = (process.env.SWARMCUT_BED ?? '') !== '';
  const keep = process.env.SWARMCUT_KEEP_BED === '1' || (named && existed);
  // What a killed run left is not to be trusted: it may hold that run's stacks.
  if (existed && !keep) await down({ name }, printProgress);
  await up({ name, nodes: BED_NODES }, printProgress);
  project.provide('bedIsOurs', !(named && existed));
  return async () => {
    if (!keep) await down({ name }, printProgress);
    await claim.release();
  };
}
