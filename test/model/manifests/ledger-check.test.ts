import { expect, test } from 'vitest';
import type { ManifestTask, TaskCheckpoint } from '../../../src/model/checkpoint.ts';
import { compareWithLedgers, type Recorded } from '../../../src/model/manifests/ledger-check.ts';
import { manifestOf, taskOf } from '../../storage/manifest.ts';

const a = taskOf('bank_a', '10.0.1.2', '10.0.1.3');
const b = { ...taskOf('bank_b', '10.0.1.3', '10.0.1.2'), node: 'n2' };
const manifest = manifestOf({ tasks: [a, b] });

function recorded({
  task,
  parts,
  connections,
  processes,
  times,
  aliases,
  notes,
  streams,
  datagrams,
  bound,
}: ManifestTask): TaskCheckpoint {
  return { task, parts, connections, processes, times, aliases, notes, streams, datagrams, bound };
}

const ledgers: Recorded[] = [
  { node: 'n1', stack: 'bank', tasks: [recorded(a)] },
  { node: 'n2', stack: 'bank', tasks: [recorded(b)] },
  { node: 'n3', stack: '', tasks: [] },
];

test('what the nodes recorded is what the manifest says', () => {
  expect(compareWithLedgers(manifest, ledgers)).toEqual([]);
});

const [part] = a.parts;
const [connection] = a.connections;
if (part === undefined || connection === undefined) throw new Error('fixture');
const other = { ...part, path: 'core-1.img' };

test.each<[string, Partial<ManifestTask>, string]>([
  ['another hash', { parts: [{ ...part, sha256: 'b'.repeat(64) }] }, 'bank_a.1 on n1, part pages-1.img: its hash is b'],
  [
    'another size',
    { parts: [{ ...part, sizeBytes: 1 }] },
    'part pages-1.img: it has 1 bytes, and the node has recorded 1250000',
  ],
  ['another kind', { parts: [{ ...part, kind: 'VOLUME' }] }, 'the node has not recorded this part'],
  ['one part more', { parts: [part, other] }, 'part core-1.img: the node has not recorded this part'],
  ['one part less', { parts: [] }, 'part pages-1.img: the node has recorded this part, and the manifest lacks it'],
  ['another container', { task: { ...a.task, containerId: 'd'.repeat(64) } }, 'another container'],
  ['other connections', { connections: [{ ...connection, rcvNxt: 1 }] }, 'its connections are not those'],
  ['other aliases', { aliases: [{ address: '10.9.9.9', network: 'x' }] }, 'its aliases are not those'],
  ['another node', { node: 'n3' }, 'bank_a.1 on n3: the node no longer has anything of this snapshot'],
])('%s is told with node, service and slot', (_, changes, text) => {
  const differences = compareWithLedgers(manifestOf({ tasks: [{ ...a, ...changes }, b] }), ledgers);
  const [first] = differences.filter((difference) => difference.text.includes(text));
  expect(first, JSON.stringify(differences)).toMatchObject({ service: 'bank_a', slot: '1' });
});

test('a task that the manifest has lost is found at its node', () => {
  expect(compareWithLedgers(manifestOf({ tasks: [a] }), ledgers)).toEqual([
    {
      node: 'n2',
      service: 'bank_b',
      slot: '1',
      text: 'bank_b.1 on n2: the node has recorded this task, and the manifest does not have it there',
    },
  ]);
});

test('a node with the snapshot of another stack, and one that has only some tasks', () => {
  const [first, second] = ledgers;
  if (first === undefined || second === undefined) throw new Error('fixture');
  expect(compareWithLedgers(manifest, [{ ...first, stack: 'shop' }, second])).toMatchObject([{ node: 'n1' }]);
  expect(compareWithLedgers(manifest, [{ ...first, tasks: [] }, second])).toMatchObject([
    { node: 'n1', service: 'bank_a', text: 'bank_a.1 on n1: the node has not recorded this task' },
  ]);
});
