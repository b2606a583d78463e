import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { returnLimits, withoutLimits, type Resources } from '../../../agent/surroundings/resource-limits.ts';

let bundle: string;
beforeEach(() => {
  bundle = mkdtempSync(join(tmpdir(), 'bundle-'));
});
afterEach(() => rmSync(bundle, { recursive: true }));

/** What the engine writes, in short. */
const RESOURCES = {
  devices: [{ allow: false, access: 'rwm' }],
  memory: { limit: 1000, swap: 2000, reservation: 500, swappiness: 60 },
  cpu: { shares: 512, quota: 5000, period: 100000, cpus: '0' },
  pids: { limit: 10 },
  blockIO: { weight: 100 },
};

async function returned(): Promise<Resources[]> {
  const given: Resources[] = [];
  await returnLimits(bundle, (resources) => {
    given.push(resources);
    return Promise.resolve();
  });
  return given;
}

it('takes the limits away and gives them back, once, also if the restore is prepared twice', async () => {
  const spec = { hostname: 'h', linux: { cgroupsPath: '/c', resources: RESOURCES } };
  const lifted = await withoutLimits(spec, bundle);
  expect(lifted).toEqual({
    hostname: 'h',
    linux: {
      cgroupsPath: '/c',
      resources: {
        devices: RESOURCES.devices,
        memory: { reservation: 500, swappiness: 60 },
        cpu: { shares: 512, cpus: '0' },
        blockIO: { weight: 100 },
      },
    },
  });
  expect(await withoutLimits(lifted, bundle)).toEqual(lifted);
  const { devices: _, ...all } = RESOURCES;
  expect(await returned()).toEqual([all]);
  expect(await returned()).toEqual([]);
});

it('leaves a container without limits as it is', async () => {
  const spec = {
    linux: { resources: { devices: [], memory: {}, cpu: { shares: 2, quota: -1 }, pids: { limit: -1 } } },
  };
  expect(await withoutLimits(spec, bundle)).toBe(spec);
  expect(await returned()).toEqual([]);
});

it('keeps them for another try when they cannot be set', async () => {
  await withoutLimits({ linux: { resources: { pids: { limit: 3 } } } }, bundle);
  await expect(returnLimits(bundle, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await returned()).toEqual([{ pids: { limit: 3 } }]);
});
