import { defineConfig } from 'vitest/config';

/**
 * Three projects:
 * - `unit`: pure code and small real parts; no root, no engine.
 * - `system`: needs root and namespaces of our own (nftables, tar, CRIU image files), but no Swarm.
 * - `e2e`: the real thing on a test bed of three engines; one file at a time, since the machine is shared.
 *
 * One after the other, quick ones first: what fails early should not have to wait, and engines should not have to share two cores with
 * the simulator.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/system/**'],
          // The machine may be busy with other things: only what hangs is late.
          testTimeout: 30_000,
          // vitest would leave one core of two idle.
          maxWorkers: '100%',
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'system',
          sequence: { groupOrder: 2 },
          include: ['test/system/**/*.test.ts'],
          // Longer than what is waited for in a test, which then says what did not come.
          testTimeout: 180_000,
          hookTimeout: 60_000,
          // Each file has namespaces, control groups and folders of its own, and most of them wait for something most of the time.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'e2e',
          sequence: { groupOrder: 3 },
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          globalSetup: ['test/e2e/bed.ts'],
          setupFiles: ['test/e2e/sound-bed.ts'],
        },
      },
    ],
  },
});
