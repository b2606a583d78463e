import { afterAll, beforeAll, expect, test } from 'vitest';
import { bedUnderTest } from '../bed.ts';
import { OPERATIONS } from './catalogue.ts';
import { AppGround } from './ground.ts';

/**
 * One of the known applications, each operation once; all of them: `npm run test:apps`. A proxy in front of a server, with connections that
 * are kept on both sides, WebSocket, and new connections all the time, through sidecars.
 */
const ground = new AppGround(bedUnderTest(), 'haproxy', 'chandy-lamport');

beforeAll(async () => {
  await ground.deploy();
});

afterAll(async () => {
  await ground.remove();
});

test('coordinator check finds nothing in its way', async () => {
  expect(await ground.check()).toEqual([]);
});

test.each(OPERATIONS)('%s: the client sees no error, and every kind of connection gets on', async (operation) => {
  expect(await ground.operate(operation)).toMatchObject({ errors: 0, reconnects: 0 });
});
