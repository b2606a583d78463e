import { expect, test } from 'vitest';
import { FormerAddresses } from '../../../agent/network/former-addresses.ts';
import { formerScript } from '../../../agent/network/rewriting/former-rules.ts';
import type { FormerAddress } from '../../../src/model/plans/former-addresses.ts';
import type { NetworkView } from '../../../src/rpc/control/network-view.ts';

const NETNS = '/proc/self/ns/net';
const A: FormerAddress = { address: '10.0.1.2', to: ['10.0.1.12'], from: '10.0.1.9', network: 'net', service: 's_a' };
const VIP: FormerAddress = { ...A, address: '10.0.1.100', to: ['10.0.1.12', '10.0.1.13'] };

function view(tasks: Readonly<Record<string, string>>, nonPeers: string[] = []): NetworkView {
  return {
    subnets: [],
    vips: [],
    nonPeers,
    tasks: Object.entries(tasks).map(([address, service]) => ({ address, service, own: false })),
  };
}

/** What is led in the kernel after each look at the network. */
async function led(former: readonly FormerAddress[], ...views: NetworkView[]): Promise<string[][]> {
  const inForce: string[][] = [];
  let look: (view: NetworkView) => void = () => undefined;
  const addresses = new FormerAddresses({
    source: {
      watch: (_stack, _networks, changed) => {
        look = changed;
        return () => undefined;
      },
    },
    log: { warn: () => undefined },
    set: (_netns, all) => {
      inForce.push(all.map(({ address }) => address));
      return Promise.resolve();
    },
  });
  await addresses.lead('c', NETNS, former);
  const after: string[][] = [];
  for (const each of views) {
    look(each);
    await new Promise((resolve) => setImmediate(resolve));
    after.push(inForce.at(-1) ?? []);
  }
  return after;
}

test('an address is led until somebody else has it, and again when it is free', async () => {
  const free = view({ '10.0.1.12': 's_a' });
  expect(await led([A], free, view({ '10.0.1.2': 'other' }), free)).toEqual([['10.0.1.2'], [], ['10.0.1.2']]);
});

test('the old task that still stands there is nobody else, a later one of its service is', async () => {
  const there = view({ '10.0.1.2': 's_a' });
  expect(await led([A], there, view({}), there)).toEqual([['10.0.1.2'], ['10.0.1.2'], []]);
});

test("a virtual address that is another service's, or a gateway, is not led", async () => {
  expect(await led([A, VIP], view({}, ['10.0.1.100']))).toEqual([['10.0.1.2']]);
});

test('connections to a virtual address take turns, and what is no address is refused', () => {
  expect(formerScript([VIP])).toContain('dnat ip to numgen inc mod 2 map { 0 : 10.0.1.12, 1 : 10.0.1.13 }');
  expect(() => formerScript([{ ...A, address: '$(reboot)' }])).toThrow('not an IP address');
});
