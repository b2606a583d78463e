import { afterAll, beforeAll, expect, test } from 'vitest';
import { replaceElements } from '../../../agent/linux/set-elements.ts';
import { PROXY_TABLE } from '../../../agent/linux/proxy-table.ts';
import { attachScript } from '../../../agent/network/proxy-rules.ts';
import { restoredContents, setContents } from '../../../agent/linux/proxy-sets.ts';
import { Bed } from '../network/kernel-bed.ts';

let bed: Bed;
beforeAll(async () => {
  bed = await Bed.make({ a: '10.91.0.1/24' });
  await bed.run('a', ['sh', '-euc', `nft -f - <<'end'\n${attachScript()}end`]);
});
afterAll(() => bed.close());

const connection = { local: { address: '10.0.0.1', port: 9 }, remote: { address: '10.0.0.2', port: 40_000 } };

/** Its elements, as nft understands them. */
async function elementsOf(set: string): Promise<string[]> {
  const shown = await bed.run('a', ['nft', 'list', 'set', ...PROXY_TABLE.split(' '), set]);
  const [, list = ''] = /elements = \{([^}]*)\}/.exec(shown) ?? [];
  return list
    .split(',')
    .map((element) => element.trim())
    .filter((element) => element !== '');
}

test('nft sees the elements as they were meant', async () => {
  const contents = setContents({
    peers: ['10.0.0.2'],
    subnets: ['10.0.0.0/24', '10.0.1.0/24', '10.9.0.0/16'],
    listening: [connection.remote],
    direct: [connection],
  });
  replaceElements(bed.netns('a'), PROXY_TABLE, { ...contents, ...restoredContents([connection]) });
  expect(await elementsOf('peers')).toEqual(['10.0.0.2']);
  expect(await elementsOf('subnets')).toEqual(['10.0.0.0/23', '10.9.0.0/16']);
  expect(await elementsOf('listening')).toEqual(['10.0.0.2 . 40000']);
  for (const set of ['direct', 'restored']) expect(await elementsOf(set)).toEqual(['10.0.0.1 . 9 . 10.0.0.2 . 40000']);
});

test('they are replaced, thousands too, and all sets or none', async () => {
  const peers = Array.from({ length: 3000 }, (_, index) => `10.1.${index >> 8}.${index & 255}`);
  replaceElements(bed.netns('a'), PROXY_TABLE, setContents({ peers, vips: ['10.0.0.9'] }));
  expect(await elementsOf('peers')).toHaveLength(3000);
  const unknown = { nosuch: [{ key: Buffer.from([1, 2, 3, 4]) }] };
  expect(() => replaceElements(bed.netns('a'), PROXY_TABLE, { ...setContents({ vips: [] }), ...unknown })).toThrow(
    'ENOENT',
  );
  expect(await elementsOf('vips')).toEqual(['10.0.0.9']);
  replaceElements(bed.netns('a'), PROXY_TABLE, setContents({ peers: ['10.0.0.3'] }));
  expect(await elementsOf('peers')).toEqual(['10.0.0.3']);
});

test('more than a socket takes at once by itself: the connections of a busy task', async () => {
  const entries = Array.from({ length: 20_000 }, (_, index) => ({
    local: { address: '10.0.0.1', port: 9 },
    remote: { address: `10.2.${index >> 8}.${index & 255}`, port: 40_000 },
  }));
  replaceElements(bed.netns('a'), PROXY_TABLE, restoredContents(entries));
  expect(await elementsOf('restored')).toHaveLength(20_000);
});
