import { describe, expect, test } from 'vitest';
import {
  ACCEPT_BYTES,
  HELLO_BYTES,
  NEXT_BYTES,
  OPEN_BYTES,
  PrefaceError,
  TAKEN_BYTES,
  acceptMacInput,
  decodeAccept,
  decodeHello,
  decodeNext,
  decodeOpen,
  decodeTaken,
  encodeAccept,
  encodeHello,
  encodeNext,
  encodeOpen,
  encodeTaken,
  openMacInput,
} from '../../src/streams/wire/preface.ts';
import type { AcceptMessage, NextMessage, OpenMessage } from '../../src/streams/wire/preface.ts';

const fill = (length: number, first: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (first + i) & 255);

const OPEN: OpenMessage = {
  role: 'resume',
  epoch: 4_000_000_000,
  streamId: '00ff10203040506070809aa0b0c0d0e0',
  client: { address: '10.0.1.7', port: 40_001 },
  server: { address: '255.0.0.1', port: 65_535 },
  received: 2 ** 45 + 3,
  reusable: true,
  nonce: fill(16, 1),
  mac: fill(32, 100),
};
const ACCEPT: AcceptMessage = {
  status: 'refused',
  epoch: 12,
  received: 2 ** 33,
  reusable: true,
  mac: fill(32, 7),
};
const NEXT: NextMessage = { epoch: 7, streamId: OPEN.streamId, client: OPEN.client, server: OPEN.server };

describe('preface', () => {
  test('round trips, in the stated sizes', () => {
    expect(encodeHello(fill(16, 9))).toHaveLength(HELLO_BYTES);
    expect(decodeHello(encodeHello(fill(16, 9)))).toEqual(fill(16, 9));
    expect(encodeOpen(OPEN)).toHaveLength(OPEN_BYTES);
    for (const role of ['new', 'resume', 'peer'] as const)
      expect(decodeOpen(encodeOpen({ ...OPEN, role }))).toEqual({ ...OPEN, role });
    expect(encodeAccept(ACCEPT)).toHaveLength(ACCEPT_BYTES);
    expect(decodeAccept(encodeAccept(ACCEPT))).toEqual(ACCEPT);
    const once = { reusable: false };
    expect(decodeOpen(encodeOpen({ ...OPEN, ...once }))).toMatchObject(once);
    expect(decodeAccept(encodeAccept({ ...ACCEPT, ...once }))).toMatchObject(once);
    expect(encodeNext(NEXT)).toHaveLength(NEXT_BYTES);
    expect(decodeNext(encodeNext(NEXT))).toEqual(NEXT);
    expect(encodeTaken(ACCEPT)).toHaveLength(TAKEN_BYTES);
    expect(decodeTaken(encodeTaken(ACCEPT))).toEqual({ status: 'refused', epoch: 12 });
  });

  test('every bit but those of the MAC itself is under the MAC', () => {
    const open = encodeOpen(OPEN);
    expect(openMacInput(fill(16, 0), open)).toEqual(Uint8Array.from([...fill(16, 0), ...open.subarray(0, 88)]));
    const accept = encodeAccept(ACCEPT);
    expect(acceptMacInput(open, accept)).toEqual(Uint8Array.from([...open, ...accept.subarray(0, 20)]));
  });

  test.each<[string, (bytes: Uint8Array) => unknown, string]>([
    ['another protocol', (bytes) => decodeOpen(bytes.fill(0x47, 0, 4)), 'magic'],
    ['an earlier version', (bytes) => decodeOpen(bytes.fill(1, 4, 5)), 'version'],
    ['a later version', (bytes) => decodeOpen(bytes.fill(3, 4, 5)), 'version'],
    ['an answer in place of a question', (bytes) => decodeOpen(bytes.fill(3, 5, 6)), 'kind'],
    ['an unknown role', (bytes) => decodeOpen(bytes.fill(9, 6, 7)), 'value'],
    ['too few bytes', (bytes) => decodeOpen(bytes.subarray(1)), 'length'],
    ['an IPv6 address', (bytes) => decodeOpen(bytes.fill(1, 30, 31)), 'value'],
    ['a count beyond 2^53', (bytes) => decodeOpen(bytes.fill(255, 64, 65)), 'value'],
    ['OPEN for NEXT, which proves nothing', (bytes) => decodeNext(bytes.subarray(0, NEXT_BYTES)), 'kind'],
    ['HELLO for OPEN', (bytes) => decodeHello(bytes.subarray(0, HELLO_BYTES)), 'kind'],
  ])('%s is refused', (_name, decode, code) => {
    const refused = (): unknown => decode(encodeOpen(OPEN));
    expect(refused).toThrow(PrefaceError);
    expect(refused).toThrow(expect.objectContaining({ code }) as Error);
  });

  test.each<[string, Partial<OpenMessage>]>([
    ['an IPv6 address', { client: { address: 'fd00::1', port: 1 } }],
    ['an id that is none', { streamId: 'x' }],
    ['a MAC too short', { mac: fill(31, 0) }],
  ])('%s is not written', (_name, changes) => {
    expect(() => encodeOpen({ ...OPEN, ...changes })).toThrow(PrefaceError);
  });
});
