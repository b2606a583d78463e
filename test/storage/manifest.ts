import { createHash } from 'node:crypto';
import type { Manifest, ManifestTask } from '../../src/model/checkpoint.ts';
import { Catalogue } from '../../src/storage/catalogue.ts';
import type { ManifestSigning } from '../../src/storage/manifest-signature.ts';

/** Signs with a mere hash, for tests that are not about signatures. */
export const HASH_SIGNING: ManifestSigning = {
  sign: (bytes) => ({ certificate: 'test', signature: createHash('sha256').update(bytes).digest() }),
  problem: (bytes, { signature }) =>
    createHash('sha256').update(bytes).digest().equals(signature) ? undefined : 'another hash',
};

/** A catalogue whose manifests are signed in this way. */
export function hashedCatalogue(stateDirectory: string): Catalogue {
  return new Catalogue(stateDirectory, HASH_SIGNING);
}

/** A valid manifest to change for a test. */
export function manifestOf(changes: Partial<Manifest> = {}): Manifest {
  const tasks = changes.tasks ?? [taskOf('bank_a', '10.0.1.2', '10.0.1.3')];
  const names = [...new Set(tasks.map(({ task }) => task.service))];
  return {
    schemaVersion: 1,
    id: '2rg8000000',
    stack: 'bank',
    algorithm: 'lai-yang',
    epoch: 3,
    startedAt: '2026-11-22T10:00:00.000Z',
    committedAt: '2026-11-22T10:00:01.000Z',
    wallMs: 1000,
    external: 'close',
    tasks,
    services: names.map((name) => ({ name, mode: 'replicated', spec: { Name: name }, virtual: [] })),
    networks: [],
    configs: [],
    secrets: [],
    versions: { n1: { swarmcut: '0.1.0', kernel: '6.18', criu: '4.2.1', runc: '1.1.15', engine: '26.1.5' } },
    ...changes,
  };
}

/** One task with one process and one connection from port 4000 of `local` to port 5000 of `remote`. */
export function taskOf(service: string, local: string, remote: string): ManifestTask {
  return {
    task: { service, slot: '1', taskId: `t-${service}`, containerId: 'c'.repeat(64) },
    node: 'n1',
    imageDigest: 'sha256:0',
    addresses: [{ network: 'bank_net', address: local }],
    aliases: [],
    notes: [],
    streams: [],
    datagrams: [],
    bound: [],
    parts: [{ kind: 'CRIU', path: 'pages-1.img', sha256: 'a'.repeat(64), sizeBytes: 1_250_000 }],
    processes: [{ pid: 1, parentPid: 0, threads: 7, command: 'node branch.js' }],
    connections: [
      {
        local: { address: local, port: 4000 },
        remote: { address: remote, port: 5000 },
        state: 'ESTABLISHED',
        sndUna: 100,
        sndNxt: 150,
        writeSeq: 180,
        rcvNxt: 900,
        sendQueueBytes: 80,
        recvQueueBytes: 5,
        sequencesKnown: true,
      },
    ],
    times: {
      holdAtMs: 1_000,
      frozenAtMs: 1_010,
      thawedAtMs: 1_130,
      freezingUs: 400,
      frozenUs: 80_000,
      memdumpUs: 10_000,
      memwriteUs: 20_000,
      pagesWritten: 300,
      dumpWallUs: 110_000,
      filesWallUs: 30_000,
    },
  };
}
