import { describe, expect, test, vi } from 'vitest';
import type { Engine } from '../../../coordinator/orchestrator/swarm/engine.ts';
import { ensureResources, readResources } from '../../../coordinator/orchestrator/swarm/resources.ts';
import type { Stack } from '../../../coordinator/orchestrator/index.ts';
import { manifestOf } from '../../storage/manifest.ts';

const network = { Name: 'net', Id: 'netid', Driver: 'overlay' };

/** A service that is called like a secret, and mounts one config. */
const spec = {
  Name: 's_web',
  TaskTemplate: {
    ContainerSpec: {
      Command: ['password'],
      Configs: [{ ConfigID: 'old', ConfigName: 's_conf', File: { Name: '/conf' } }],
    },
    Networks: [{ Target: 'netid' }],
  },
};

function engine(configs: { name: string; id: string; spec: object }[]) {
  const made: Record<string, unknown>[] = [];
  const removed: string[] = [];
  const fake = {
    networks: () => Promise.resolve([network]),
    configs: () => Promise.resolve(configs),
    secrets: () => Promise.resolve([{ name: 'password', id: 'secretid' }]),
    createConfig: (config: Record<string, unknown>) => {
      made.push(config);
      return Promise.resolve('made');
    },
    removeConfig: (id: string) => Promise.resolve(void removed.push(id)),
  };
  return { engine: fake as unknown as Engine, made, removed };
}

function manifest(data: string) {
  return manifestOf({ configs: [{ name: 's_conf', id: 'old', spec: { Name: 's_conf', Data: data, Labels: {} } }] });
}

test('only what services refer to is part of a stack, not what happens to be called like a word of theirs', async () => {
  const stack = { name: 's', services: [{ spec }], tasks: [] } as unknown as Stack;
  const configs = [
    { name: 's_conf', id: 'old', spec: {} },
    { name: 's_web', id: 'other', spec: {} },
  ];
  const resources = await readResources(engine(configs).engine, stack);
  expect(resources.secrets).toEqual([]);
  expect(resources.configs.map(({ id }) => id)).toEqual(['old']);
  expect(resources.networks.map(({ name }) => name)).toEqual(['net']);
});

describe('a config of the snapshot', () => {
  const refersTo = (translated: unknown): unknown =>
    (translated as typeof spec).TaskTemplate.ContainerSpec.Configs.map(({ ConfigID, ConfigName }) => [
      ConfigID,
      ConfigName,
    ]);

  test('that was made again with the same contents is used', async () => {
    const { engine: swarm, made } = engine([{ name: 's_conf', id: 'again', spec: { Data: 'QQ==' } }]);
    const resources = await ensureResources(swarm, manifest('QQ=='), vi.fn());
    expect(refersTo(resources.translate(spec))).toEqual([['again', 's_conf']]);
    expect(made).toEqual([]);
  });

  test('that has other contents now is made again under another name, and goes away with the restore', async () => {
    const { engine: swarm, made, removed } = engine([{ name: 's_conf', id: 'again', spec: { Data: 'Qg==' } }]);
    const warn = vi.fn();
    const resources = await ensureResources(swarm, manifest('QQ=='), warn);
    const name = expect.stringMatching(/^s_conf-[0-9a-f]{10}$/) as string;
    expect(made).toEqual([{ Name: name, Data: 'QQ==', Labels: {} }]);
    expect(refersTo(resources.translate(spec))).toEqual([['made', name]]);
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('config s_conf has other contents now'));
    await resources.undo();
    expect(removed).toEqual(['made']);
  });
});
