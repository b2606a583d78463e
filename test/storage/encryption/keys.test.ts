import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EncryptionKeys, encryptionFiles } from '../../../src/storage/encryption/key-files.ts';
import { PartKeys, contentKey, partKey } from '../../../src/storage/encryption/snapshot-key.ts';
import {
  newSnapshotKey,
  unwrapSnapshotKey,
  wrapSnapshotKey,
  writeWrappedKey,
} from '../../../src/storage/encryption/wrapped-key.ts';

const ID = '2rg8000000';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'swarmcut-keys-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function secretFile(name: string, content: string | Buffer, mode = 0o600): string {
  const file = join(folder, name);
  writeFileSync(file, content, { mode });
  chmodSync(file, mode);
  return file;
}

function keysOf(files: { keyFile?: string; passphraseFile?: string }): EncryptionKeys {
  return new EncryptionKeys(files, folder);
}

describe('key files', () => {
  test('32 bytes as they are, in hex and in base 64 are one key', async () => {
    const bytes = randomBytes(32);
    const ids = [];
    for (const content of [bytes, `${bytes.toString('hex')}\n`, bytes.toString('base64')]) {
      const key = await keysOf({ keyFile: secretFile('key', content) }).current();
      expect(key?.bytes).toEqual(bytes);
      ids.push(key?.id);
    }
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/^[0-9a-f]{16}$/);
  });

  test.each([
    ['readable by others', 'a'.repeat(64), 0o644, 'others than its owner may use the key: mode 644'],
    ['too short', 'abc', 0o600, '3 bytes, neither 32 nor 32 in hex or base 64'],
    ['no hex', 'g'.repeat(64), 0o600, 'there is no key in the file'],
  ])('refused: %s', async (_what, content, mode, message) => {
    const file = secretFile('key', content, mode);
    await expect(keysOf({ keyFile: file }).current()).rejects.toMatchObject({
      code: 'precondition',
      message: expect.stringContaining(message) as string,
      where: { file },
    });
  });

  test('the configuration may have one; the command line wins; two are refused', async () => {
    expect(await encryptionFiles({}, folder)).toEqual({});
    secretFile('encrypt.key', randomBytes(32));
    expect(await encryptionFiles({}, folder)).toEqual({ keyFile: join(folder, 'encrypt.key') });
    expect(await encryptionFiles({ passphraseFile: '/p' }, folder)).toEqual({ passphraseFile: '/p' });
    secretFile('encrypt.passphrase', 'correct horse battery');
    await expect(encryptionFiles({}, folder)).rejects.toMatchObject({ code: 'usage' });
    await expect(encryptionFiles({ keyFile: '/k', passphraseFile: '/p' }, folder)).rejects.toMatchObject({
      code: 'usage',
    });
  });
});

/** What a passphrase costs is made little for these tests. */
function cheapPassphrases(): void {
  const derivation = { kind: 'passphrase', salt: randomBytes(16).toString('base64'), n: 2 ** 14, r: 1, p: 1 };
  writeFileSync(join(folder, 'encryption.json'), JSON.stringify(derivation));
}

describe('passphrases', () => {
  test('one passphrase is one key for all snapshots, whether there is a line break behind it or not', async () => {
    cheapPassphrases();
    const first = await keysOf({ passphraseFile: secretFile('p', 'correct horse battery') }).current();
    const second = await keysOf({ passphraseFile: secretFile('p', 'correct horse battery\n') }).current();
    expect(second?.id).toBe(first?.id);
    const other = await keysOf({ passphraseFile: secretFile('p', 'wrong horse battery') }).current();
    expect(other?.id).not.toBe(first?.id);
  });

  test('trying one out costs 128 MiB and much time', async () => {
    const key = await keysOf({ passphraseFile: secretFile('p', 'correct horse battery') }).current();
    expect(key?.derivation).toMatchObject({ kind: 'passphrase', n: 131_072, r: 8, p: 1 });
  }, 60_000);

  test('a short one is refused', async () => {
    await expect(keysOf({ passphraseFile: secretFile('p', 'hunter2') }).current()).rejects.toThrow('less than 12');
  });
});

describe('the key of a snapshot', () => {
  const file = (): string => join(folder, ID, 'key.json');

  async function wrapped(keys: EncryptionKeys): Promise<{ id: string; encryption: { snapshotKey: string } }> {
    const key = await keys.current();
    if (key === undefined) throw new Error('no key');
    const { bytes, id } = newSnapshotKey();
    mkdirSync(join(folder, ID), { recursive: true });
    await writeWrappedKey(file(), wrapSnapshotKey(bytes, key, ID));
    return { id: ID, encryption: { snapshotKey: id } };
  }

  test('is had with the right encryption key, and with no other: which one is needed is said', async () => {
    const right = keysOf({ keyFile: secretFile('right', randomBytes(32)) });
    const mark = await wrapped(right);
    const rightId = (await right.current())?.id ?? '';
    expect((await unwrapSnapshotKey(mark, file(), right))?.length).toBe(32);
    const wrong = keysOf({ keyFile: secretFile('wrong', randomBytes(32)) });
    const wrongId = (await wrong.current())?.id ?? '';
    await expect(unwrapSnapshotKey(mark, file(), wrong)).rejects.toMatchObject({
      code: 'precondition',
      message: `snapshot ${ID} is encrypted with key ${rightId} (a key file), and the key that is given is ${wrongId}`,
    });
    await expect(unwrapSnapshotKey(mark, file(), keysOf({}))).rejects.toThrow(
      `snapshot ${ID} is encrypted with key ${rightId} (a key file), and no key is given`,
    );
    const other = keysOf({ passphraseFile: secretFile('p', 'correct horse battery') });
    await expect(unwrapSnapshotKey(mark, file(), other)).rejects.toThrow('and what is given is a passphrase');
  });

  test('a wrapped key that was changed, is of another snapshot, or is gone, is damage', async () => {
    const keys = keysOf({ keyFile: secretFile('right', randomBytes(32)) });
    const mark = await wrapped(keys);
    const other = { ...mark, id: '2rg8000001' };
    await expect(unwrapSnapshotKey(other, file(), keys)).rejects.toMatchObject({ code: 'damaged' });
    const exchanged = { ...mark, encryption: { snapshotKey: '0'.repeat(16) } };
    await expect(unwrapSnapshotKey(exchanged, file(), keys)).rejects.toThrow('not the one that its manifest names');
    const json = JSON.parse(readFileSync(file(), 'utf8')) as { wrapped: string };
    const bytes = Buffer.from(json.wrapped, 'base64');
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    writeFileSync(file(), JSON.stringify({ ...json, wrapped: bytes.toString('base64') }));
    await expect(unwrapSnapshotKey(mark, file(), keys)).rejects.toThrow('the file was changed');
    rmSync(file());
    await expect(unwrapSnapshotKey(mark, file(), keys)).rejects.toThrow('its wrapped key is missing');
  });

  test('a file that asks for all memory is refused', async () => {
    cheapPassphrases();
    const mark = await wrapped(keysOf({ passphraseFile: secretFile('p', 'correct horse battery') }));
    const json = JSON.parse(readFileSync(file(), 'utf8')) as { derivation: object };
    writeFileSync(file(), JSON.stringify({ ...json, derivation: { ...json.derivation, n: 2 ** 30 } }));
    const keys = keysOf({ passphraseFile: join(folder, 'p') });
    await expect(unwrapSnapshotKey(mark, file(), keys)).rejects.toMatchObject({ code: 'damaged' });
  });
});

describe('the keys of parts', () => {
  test('are those of the part that they were wrapped for, under that snapshot', () => {
    const keys = new PartKeys(randomBytes(32));
    const key = randomBytes(32);
    const text = keys.wrap(key, 'a'.repeat(64));
    expect(keys.unwrap(text, 'a'.repeat(64))).toEqual(key);
    expect(keys.unwrap(text, 'b'.repeat(64))).toBeUndefined();
    expect(new PartKeys(randomBytes(32)).unwrap(text, 'a'.repeat(64))).toBeUndefined();
    expect(keys.unwrap('', 'a'.repeat(64))).toBeUndefined();
  });

  test('come from the content, the stack and the encryption key', () => {
    const encryption = randomBytes(32);
    const one = partKey(contentKey(encryption, 'bank'), 'a'.repeat(64));
    expect(partKey(contentKey(encryption, 'bank'), 'a'.repeat(64))).toEqual(one);
    for (const other of [
      partKey(contentKey(encryption, 'bank'), 'b'.repeat(64)),
      partKey(contentKey(encryption, 'shop'), 'a'.repeat(64)),
      partKey(contentKey(randomBytes(32), 'bank'), 'a'.repeat(64)),
    ])
      expect(other).not.toEqual(one);
  });
});
