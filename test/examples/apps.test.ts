import { readFileSync, readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Compose } from '../../examples/demo/stacks.ts';
import { APPS } from '../e2e/apps/catalogue.ts';

const FOLDER = 'examples/apps';

function composeOf(app: string): Compose {
  return parse(readFileSync(`${FOLDER}/${app}/compose.yaml`, 'utf8'), { merge: true }) as Compose;
}

it('every application with a compose file is run by npm run test:apps', () => {
  const folders = readdirSync(FOLDER).filter((name) => readdirSync(`${FOLDER}/${name}`).includes('compose.yaml'));
  expect(APPS.map(({ id }) => id).sort()).toEqual(folders.sort());
});

it.each(APPS.map((app) => [app.id, app] as const))(
  '%s: images, client and version are what the runner needs',
  (id, app) => {
    const { services } = composeOf(id);
    const images = new Set(Object.values(services).map(({ image }) => image?.replace(/^swarmcut\/|:latest$/g, '')));
    expect([...images].filter((image) => image !== 'examples').sort()).toEqual([...app.images].sort());
    expect(services).toHaveProperty('client');
    expect(services).toHaveProperty([app.version[0]]);
  },
);
