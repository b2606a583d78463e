import { afterAll, beforeAll, expect, test } from 'vitest';
import { Tickets } from '../../../agent/transfer/index.ts';
import { LONGEST_TICKET_MS, issueFetchTicket, SignatureCheck, Signer } from '../../../src/rpc/index.ts';
import type { FetchGrant, Peer } from '../../../src/rpc/index.ts';
import { testAuthority } from '../../rpc/certificates.ts';
import type { TestAuthority } from '../../rpc/certificates.ts';

let authority: TestAuthority;
let signer: Signer;
let tickets: Tickets;
let nowMs: number;

beforeAll(async () => {
  authority = await testAuthority();
  signer = new Signer(await authority.coordinator());
  nowMs = Date.now();
  tickets = new Tickets(new SignatureCheck(await authority.agent('n1')), () => nowMs);
});
afterAll(() => authority.remove());

const N2: Peer = { role: 'agent', node: 'n2' };
const PART = 'a'.repeat(64);

function ticket(changes: Partial<FetchGrant> = {}, by = signer) {
  return issueFetchTicket(by, { restoreId: 'r1', node: 'n2', sha256: [PART], expiresAtMs: nowMs + 60_000, ...changes });
}

function refusal(message: string) {
  return expect.objectContaining({
    code: 'precondition',
    message: expect.stringContaining(message) as string,
  }) as Error;
}

test('the node that a restore assigns it to fetches a part; the coordinator fetches any', () => {
  expect(() => tickets.admit(N2, { sha256: [PART], ticket: ticket() })()).not.toThrow();
  expect(() => tickets.admit({ role: 'coordinator' }, { sha256: [PART], ticket: null })()).not.toThrow();
});

test('refused: no ticket, one of another node, one for other parts', () => {
  expect(() => tickets.admit(N2, { sha256: [PART], ticket: null })).toThrow(refusal('it has no ticket'));
  expect(() => tickets.admit({ role: 'agent', node: 'n3' }, { sha256: [PART], ticket: ticket() })).toThrow(
    refusal('the agent of node n3 may not fetch this: its ticket is for node n2'),
  );
  const asked = { sha256: [PART, 'b'.repeat(64)], ticket: ticket() };
  expect(() => tickets.admit(N2, asked)).toThrow(refusal(`not for part ${'b'.repeat(64)}`));
});

test('refused: changed, made by an agent, made under another authority', async () => {
  const good = ticket();
  const text = good.grant.toString('utf8');
  const grant = Buffer.from(text.replace('"n2"', '"n3"'));
  expect(() => tickets.admit({ role: 'agent', node: 'n3' }, { sha256: [PART], ticket: { ...good, grant } })).toThrow(
    refusal('does not match'),
  );
  const agent = new Signer(await authority.agent('n2'));
  expect(() => tickets.admit(N2, { sha256: [PART], ticket: ticket({}, agent) })).toThrow(
    refusal('not by a coordinator'),
  );
  const other = await testAuthority();
  try {
    const stranger = new Signer(await other.coordinator());
    expect(() => tickets.admit(N2, { sha256: [PART], ticket: ticket({}, stranger) })).toThrow(
      refusal('another authority'),
    );
  } finally {
    other.remove();
  }
});

test('a ticket ends with its time, also between two parts, and is never for longer than a restore', () => {
  const stillGood = tickets.admit(N2, { sha256: [PART], ticket: ticket() });
  nowMs += 60_001;
  expect(stillGood).toThrow(refusal('its ticket for restore r1 ended at'));
  const long = ticket({ expiresAtMs: nowMs + 10 * LONGEST_TICKET_MS });
  expect(() => tickets.admit(N2, { sha256: [PART], ticket: long })).toThrow(refusal('longer than any restore'));
});

test('a ticket ends with its restore', () => {
  const held = ticket({ restoreId: 'r2' });
  const stillGood = tickets.admit(N2, { sha256: [PART], ticket: held });
  tickets.end('r2');
  expect(stillGood).toThrow(refusal('restore r2 is over'));
  expect(() => tickets.admit(N2, { sha256: [PART], ticket: held })).toThrow(refusal('restore r2 is over'));
  expect(() => tickets.admit(N2, { sha256: [PART], ticket: ticket() })).not.toThrow();
});
