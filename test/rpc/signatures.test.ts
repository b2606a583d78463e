import { afterAll, beforeAll, expect, test } from 'vitest';
import { issueFetchTicket, readFetchGrant, SignatureCheck, Signer } from '../../src/rpc/index.ts';
import { testAuthority } from './certificates.ts';
import type { TestAuthority } from './certificates.ts';

let authority: TestAuthority;
let coordinator: string;
const bytes = Buffer.from('{"schemaVersion":1}\n');

beforeAll(async () => {
  authority = await testAuthority();
  coordinator = await authority.coordinator();
});
afterAll(() => authority.remove());

test('what the coordinator has signed holds, for these bytes and this purpose only', () => {
  const made = new Signer(coordinator).sign('manifest', bytes);
  const check = new SignatureCheck(coordinator);
  expect(check.problem('manifest', bytes, made)).toBeUndefined();
  expect(check.problem('manifest', Buffer.concat([bytes, bytes]), made)).toBe('the signature does not match');
  expect(check.problem('fetch-ticket', bytes, made)).toBe('the signature does not match');
  expect(check.problem('manifest', bytes, { ...made, signature: made.signature.subarray(1) })).toBe(
    'the signature does not match',
  );
  expect(check.problem('manifest', bytes, { ...made, signature: new Uint8Array() })).toBe(
    'the signature does not match',
  );
  expect(check.problem('manifest', bytes, { ...made, certificate: 'x' })).toContain('cannot be read');
});

test("an agent's key signs nothing", async () => {
  const made = new Signer(await authority.agent('n1')).sign('manifest', bytes);
  expect(new SignatureCheck(coordinator).problem('manifest', bytes, made)).toBe(
    'it was signed by the agent of node n1, not by a coordinator',
  );
});

test('a coordinator of another authority is a stranger, although the authorities have the same name', async () => {
  const other = await testAuthority();
  try {
    const made = new Signer(await other.coordinator()).sign('manifest', bytes);
    expect(new SignatureCheck(coordinator).problem('manifest', bytes, made)).toBe(
      'the signer has a certificate of another authority',
    );
  } finally {
    other.remove();
  }
});

test('after the certificate has expired, what was signed stays signed; where it counts now, it does not', async () => {
  const expired = await authority.coordinator(new Date(Date.now() - 1_000));
  const made = new Signer(expired).sign('manifest', bytes);
  const check = new SignatureCheck(coordinator);
  expect(check.problem('manifest', bytes, made)).toBeUndefined();
  expect(check.problem('manifest', bytes, made, new Date())).toContain('expired at');
});

test('without files: precondition, naming the file', () => {
  expect(() => new Signer('/nowhere').sign('manifest', bytes)).toThrow(
    expect.objectContaining({ code: 'precondition' }),
  );
  const made = new Signer(coordinator).sign('manifest', bytes);
  expect(() => new SignatureCheck('/nowhere').problem('manifest', bytes, made)).toThrow(/ca\.crt/);
});

test('a grant is read as it was given; anything else is none', () => {
  const grant = { restoreId: 'r1', node: 'n2', sha256: ['a'.repeat(64)], expiresAtMs: 5 };
  expect(readFetchGrant(issueFetchTicket(new Signer(coordinator), grant).grant)).toMatchObject(grant);
  for (const text of ['', 'null', '{}', JSON.stringify({ ...grant, version: 2 })])
    expect(readFetchGrant(Buffer.from(text))).toBeUndefined();
});
