import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { judgePeers } from '../../../agent/preflight/index.ts';
import { transferPort, unreachedListeners } from '../../../agent/transfer/index.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Something that listens; one that is closed again leaves a port where nobody does. */
async function listens(stays: boolean): Promise<{ address: string; port: number }> {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  if (stays) servers.push(server);
  else await new Promise((resolve) => server.close(resolve));
  return { address: `127.0.0.1:${port - transferPort(0)}`, port };
}

test('a node whose listener for parts does not answer is named, with address and reason', async () => {
  const [there, gone] = [await listens(true), await listens(false)];
  const peers = [
    { node: 'n2', address: there.address },
    { node: 'n3', address: gone.address },
  ];
  const unreached = await unreachedListeners(peers);
  expect(unreached).toEqual([
    { node: 'n3', address: `127.0.0.1:${gone.port}`, why: expect.stringContaining('ECONNREFUSED') as string },
  ]);
  expect(judgePeers(peers, unreached)).toMatchObject({
    name: 'parts from',
    verdict: 'WARNING',
    found: expect.stringMatching(/^not n3 \(127\.0\.0\.1:\d+: .*ECONNREFUSED/) as string,
    advice: expect.stringContaining(`open TCP ${gone.port} between the nodes`) as string,
  });
});

test('nodes that answer are named, and nothing is advised', async () => {
  const { address } = await listens(true);
  const peers = [{ node: 'n2', address }];
  expect(judgePeers(peers, await unreachedListeners(peers))).toEqual({
    name: 'parts from',
    verdict: 'OK',
    found: 'n2',
    advice: '',
  });
});
