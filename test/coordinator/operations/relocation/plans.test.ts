import { describe, expect, test } from 'vitest';
import { restorePlans } from '../../../../coordinator/operations/relocation/plans.ts';
import type { Arrival } from '../../../../coordinator/operations/relocation/arrivals/arrivals.ts';
import type { ManifestTask, StreamCut } from '../../../../src/model/checkpoint.ts';
import { endpoint } from '../../../model/connections.ts';
import { streamEnd } from '../../../model/streams.ts';
import { manifestOf, taskOf } from '../../../storage/manifest.ts';

function proxied(service: string, local: string, remote: string, streams: StreamCut[]): ManifestTask {
  const task = taskOf(service, local, remote);
  return {
    ...task,
    connections: task.connections.map((connection) => ({
      ...connection,
      local: endpoint(service === 'bank_a' ? '10.0.1.2:4000' : '10.0.1.3:9000'),
      remote: endpoint(service === 'bank_a' ? '10.0.1.3:9000' : '10.0.1.2:4000'),
    })),
    streams,
    parts: [...task.parts, { kind: 'CHANNELS', path: 'channels.json', sha256: 'b'.repeat(64), sizeBytes: 100 }],
  };
}

function arrivals(places: Readonly<Record<string, string>>): ReadonlyMap<string, Arrival> {
  return new Map(
    Object.entries(places).map(([key, address]) => {
      const networks = [{ name: 'bank_net', id: 'n', subnets: ['10.0.1.0/24'] }];
      const task = { addresses: [{ network: 'bank_net', address }], networks };
      return [key, { key, task } as unknown as Arrival];
    }),
  );
}

const NEW = arrivals({ 'bank_a.1': '10.0.1.12', 'bank_b.1': '10.0.1.13' });

describe('the plans of a restore with sidecars', () => {
  test('tunnels have the new addresses, sockets the old ones; nothing is rewritten or reset', () => {
    const manifest = manifestOf({
      tasks: [
        proxied('bank_a', '10.0.1.2', '10.0.1.3', [streamEnd('opener')]),
        proxied('bank_b', '10.0.1.3', '10.0.1.2', [streamEnd('acceptor')]),
      ],
    });
    const { plans, closed } = restorePlans(manifest, NEW);
    expect(closed).toBe(0);
    expect(plans.get('bank_a.1')).toMatchObject({
      network: { ownAddresses: ['10.0.1.2'], rewrites: [], close: [], unsent: [] },
      proxy: { stack: 'bank', epoch: 3, streams: [{ action: 'RESUME', peer: endpoint('10.0.1.13:9000'), dial: true }] },
    });
    expect(plans.get('bank_b.1')?.proxy?.streams).toMatchObject([{ action: 'RESUME', dial: false }]);
  });

  test('a connection that nobody can take up again is reset, and counted once', () => {
    const manifest = manifestOf({
      tasks: [
        proxied('bank_a', '10.0.1.2', '10.0.1.3', [streamEnd('opener')]),
        proxied('bank_b', '10.0.1.3', '10.0.1.2', [streamEnd('acceptor', { endTaken: false })]),
      ],
    });
    const { plans, closed } = restorePlans(manifest, NEW);
    expect(plans.get('bank_a.1')?.proxy?.streams).toMatchObject([{ action: 'RESET' }]);
    // The server's socket has no sidecar half to speak to.
    expect(plans.get('bank_b.1')?.network.close).toHaveLength(1);
    expect(closed).toBe(1);
  });

  test('tasks without a sidecar get no plan for one', () => {
    const { plans } = restorePlans(manifestOf(), NEW);
    expect(plans.get('bank_a.1')?.proxy).toBeUndefined();
  });
});
