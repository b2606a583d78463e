import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unwanted, withReserved } from '../../../../coordinator/operations/transaction/placement-window.ts';
import type { CoordinatorContext } from '../../../../coordinator/operations/index.ts';
import type { Cluster, ClusterNode } from '../../../../coordinator/orchestrator/index.ts';
import { FakeRaft, sharedBy } from '../lock/fake-raft.ts';

const node = (hostname: string, availability = 'active'): ClusterNode =>
  ({ id: `id-${hostname}`, hostname, availability }) as ClusterNode;
const NODES = [node('n1'), node('n2'), node('n3'), node('n4', 'drain')];
const names = (nodes: readonly { hostname: string }[]): string[] => nodes.map(({ hostname }) => hostname);

describe('nodes that are kept free of new tasks', () => {
  it('are all that take tasks, but the target; or those that are excluded; or none', () => {
    expect(names(unwanted({ only: 'n2' }, NODES))).toEqual(['n1', 'n3']);
    expect(names(unwanted({ except: ['n1', 'n4'] }, NODES))).toEqual(['n1']);
    expect(unwanted({}, NODES)).toEqual([]);
    expect(unwanted({ only: 'n1' }, [node('n1')])).toEqual([]);
  });

  it('are never all of them', () => {
    expect(() => unwanted({ except: ['n1'] }, [node('n1'), node('n2', 'pause')])).toThrow(/no node takes tasks but n1/);
  });

  describe('for a moment', () => {
    let run: string;
    beforeEach(() => void (run = mkdtempSync(join(tmpdir(), 'swarmcut-window-'))));
    afterEach(() => rmSync(run, { recursive: true, force: true }));

    it('are given back whatever happens, but for those that somebody else has taken out of service', async () => {
      const done: string[] = [];
      const cluster = {
        ...sharedBy('n1', new FakeRaft()),
        setPlaceable: (id: string, placeable: boolean) => {
          done.push(`${id} ${placeable}`);
          return Promise.resolve(id !== 'id-n3');
        },
      } as unknown as Cluster;
      const ctx = {
        directories: { run, state: run, config: run },
        signal: new AbortController().signal,
      } as unknown as CoordinatorContext;
      const placing = withReserved(ctx, cluster, unwanted({ only: 'n2' }, NODES), () =>
        Promise.reject(new Error('no')),
      );
      await expect(placing).rejects.toThrow('no');
      expect(done).toEqual(['id-n1 false', 'id-n3 false', 'id-n1 true']);
    });
  });
});
