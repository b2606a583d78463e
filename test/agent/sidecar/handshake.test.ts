import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  AuthenticationError,
  signAccept,
  signOpen,
  verifyAccept,
  verifyOpen,
} from '../../../agent/sidecar/peers/handshake.ts';

const KEY = randomBytes(32);
const NONCE = randomBytes(16);
const OPEN = {
  role: 'new',
  epoch: 3,
  streamId: '00112233445566778899aabbccddeeff',
  client: { address: '10.0.0.1', port: 40_000 },
  server: { address: '10.0.0.2', port: 80 },
  received: 0,
  reusable: true,
  nonce: randomBytes(16),
} as const;

describe('handshake of sidecars', () => {
  test('who has the key is believed', () => {
    const open = signOpen(KEY, NONCE, OPEN);
    expect(verifyOpen(KEY, NONCE, open)).toMatchObject({ ...OPEN, nonce: new Uint8Array(OPEN.nonce) });
    const accept = signAccept(KEY, open, { status: 'accepted', epoch: 4, received: 0, reusable: true });
    expect(verifyAccept(KEY, open, accept)).toMatchObject({ status: 'accepted', epoch: 4 });
  });

  test('another key, an old nonce or one changed bit is not', () => {
    const open = signOpen(KEY, NONCE, OPEN);
    expect(() => verifyOpen(randomBytes(32), NONCE, open)).toThrow(AuthenticationError);
    expect(() => verifyOpen(KEY, randomBytes(16), open)).toThrow(AuthenticationError);
    for (const at of [7, 8, 12, 40, 45, 62, 70, 80, 119]) {
      const changed = Uint8Array.from(open);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => verifyOpen(KEY, NONCE, changed)).toThrow(AuthenticationError);
    }
  });

  test('an answer counts only for the question it was given to', () => {
    const open = signOpen(KEY, NONCE, OPEN);
    const other = signOpen(KEY, NONCE, { ...OPEN, nonce: randomBytes(16) });
    const accept = signAccept(KEY, other, { status: 'accepted', epoch: 4, received: 0, reusable: true });
    expect(() => verifyAccept(KEY, open, accept)).toThrow(AuthenticationError);
    const raised = signAccept(KEY, open, { status: 'accepted', epoch: 4, received: 0, reusable: true });
    raised[11] = 5; // a forged epoch would be a forged marker
    expect(() => verifyAccept(KEY, open, raised)).toThrow(AuthenticationError);
  });
});
