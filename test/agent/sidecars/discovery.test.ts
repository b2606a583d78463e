import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Discovery, factsOf, networkViewOf } from '../../../agent/sidecars/discovery.ts';
import type { NetworkView } from '../../../src/rpc/control/network-view.ts';

/** As an engine 26 on a worker answers, without what is not looked at. Two stacks, `sa` and `sb`, on a network that both use. */
function inspected(more: Record<string, unknown> = {}): unknown {
  return {
    Name: 'shared',
    IPAM: { Driver: 'default', Options: null, Config: [{ Subnet: '10.0.1.0/24', Gateway: '10.0.1.1' }] },
    Containers: {
      '66d701a24dea23f1': { Name: 'sb_other.2.37j0e94rh22', IPv4Address: '10.0.1.7/24', IPv6Address: '' },
      'lb-shared': { Name: 'shared-endpoint', IPv4Address: '10.0.1.9/24', IPv6Address: '' },
    },
    Services: {
      sb_other: {
        VIP: '10.0.1.6',
        Tasks: [
          { Name: 'sb_other.2.37j0e94rh22', EndpointIP: '10.0.1.7', Info: { 'Host IP': '10.77.2.2' } },
          { Name: 'sb_other.1.fv9jkizweep', EndpointIP: '10.0.1.8', Info: { 'Host IP': '10.77.2.3' } },
        ],
      },
      sa_rr: { VIP: '<nil>', Ports: [], Tasks: [{ Name: 'sa_rr.2.qkax9a6dg5g', EndpointIP: '10.0.1.3' }] },
      '': { VIP: '<nil>', Tasks: [{ Name: 'by-hand', EndpointIP: '10.0.1.20' }] },
      ...more,
    },
  };
}

describe('network view of a stack', () => {
  test('says whose the tasks are, which virtual addresses lead to them, and who is none', () => {
    expect(networkViewOf('sb', [factsOf(inspected())])).toEqual({
      subnets: ['10.0.1.0/24'],
      tasks: [
        { address: '10.0.1.3', service: 'sa_rr', own: false },
        { address: '10.0.1.7', service: 'sb_other', own: true },
        { address: '10.0.1.8', service: 'sb_other', own: true },
      ],
      vips: [{ address: '10.0.1.6', service: 'sb_other', backends: ['10.0.1.7', '10.0.1.8'] }],
      nonPeers: ['10.0.1.20', '10.0.1.1', '10.0.1.9'],
    } satisfies NetworkView);
    expect(networkViewOf('sa', [factsOf(inspected())]).nonPeers).toContain('10.0.1.6');
  });

  test('a container that the network does not know yet is nobody until it does', () => {
    const facts = factsOf({ ...(inspected() as object), Containers: { abc: { IPv4Address: '10.0.1.30/24' } } });
    expect(facts.coming).toEqual(['10.0.1.30']);
    expect(JSON.stringify(networkViewOf('sb', [facts]))).not.toContain('10.0.1.30');
  });
});

describe('discovery', () => {
  const asked: string[] = [];
  let answer: unknown;
  let discovery: Discovery;
  const count = (): number => asked.length;

  beforeEach(() => {
    vi.useFakeTimers();
    asked.length = 0;
    answer = inspected();
    discovery = new Discovery({
      inspect: (network) => {
        asked.push(network);
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
      log: { warn: () => undefined },
    });
  });
  afterEach(() => {
    discovery.close();
    vi.useRealTimers();
  });

  test('asks once a network for any number of tasks, often while something changes and seldom otherwise', async () => {
    const told: string[] = [];
    for (const task of ['1', '2', '3']) discovery.watch('sb', ['shared'], () => told.push(task));
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual(['1', '2', '3']);
    const begun = count();
    expect(begun).toBeLessThanOrEqual(2); // those who come while it asks share the next answer
    await vi.advanceTimersByTimeAsync(5_000);
    expect(count() - begun).toBe(10);
    await vi.advanceTimersByTimeAsync(10_000);
    const quiet = count();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(count() - quiet).toBe(5);
    expect(told).toHaveLength(3); // nothing new, nothing told
    answer = inspected({ sb_new: { VIP: '', Tasks: [{ EndpointIP: '10.0.1.40' }] } });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(told).toHaveLength(6);
    const lively = count();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(count() - lively).toBe(10);
  });

  test('one stack’s change is not told to another, and who has gone is told nothing', async () => {
    const told = { sa: 0, sb: 0 };
    const end = discovery.watch('sa', ['shared'], () => (told.sa += 1));
    discovery.watch('sb', ['shared', 'second'], () => (told.sb += 1));
    await vi.advanceTimersByTimeAsync(600);
    expect(told).toEqual({ sa: 1, sb: 1 });
    end();
    answer = inspected({ sa_more: { VIP: '', Tasks: [{ EndpointIP: '10.0.1.50' }] } });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(told.sa).toBe(1);
    expect(told.sb).toBeGreaterThan(1);
  });

  test('an engine that does not answer is asked again', async () => {
    answer = new Error('connect ENOENT /var/run/docker.sock');
    let told = 0;
    discovery.watch('sb', ['shared'], () => (told += 1));
    await vi.advanceTimersByTimeAsync(3_000);
    expect(told).toBe(0);
    answer = inspected();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(told).toBe(1);
    discovery.close();
    const asking = count();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(count()).toBe(asking);
  });
});
