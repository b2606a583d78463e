import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { run } from '../../src/platform/processes.ts';

test('many at a time end as they should, and leave neither descriptors nor dead processes', async () => {
  const open = (): number => readdirSync('/proc/self/fd').length;
  await run(['true']);
  const before = open();
  const all = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      run(['sh', '-c', 'cat; exit $1', 'sh', `${index}`], { input: 'x'.repeat(index) }),
    ),
  );
  expect(all.map(({ exitCode, stdout }) => [exitCode, stdout.length])).toEqual(all.map((_, index) => [index, index]));
  await expect.poll(open).toBe(before);
  expect(readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim()).toBe('');
});

test('a failed start leaves no descriptors', async () => {
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 5; i++) expect(await run(['/no/such/program'])).toMatchObject({ missing: true });
  expect(await run(['/etc/passwd'])).toMatchObject({
    exitCode: undefined,
    missing: false,
    problem: expect.stringContaining('EACCES') as string,
  });
  expect(readdirSync('/proc/self/fd')).toHaveLength(before);
});

test('one that closes its outputs is waited for all the same', async () => {
  expect(await run(['sh', '-c', 'exec >/dev/null 2>&1; sleep 0.2; exit 5'])).toMatchObject({ exitCode: 5 });
});

test('no signal is ignored or blocked because it is so in Node', async () => {
  expect(await run(['sh', '-c', 'kill -PIPE $$; echo alive'])).toMatchObject({ problem: 'ended by SIGPIPE' });
  const { stdout } = await run(['grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status']);
  const [blocked, ignored] = stdout.split('\n').map((line) => BigInt(`0x${line.split('\t')[1] ?? ''}`));
  // glibc has it ignore 32 and 33, which are the library's own: threads that want them say so.
  expect([blocked, (ignored ?? 0n) & ~0x1_8000_0000n]).toEqual([0n, 0n]);
});

test('it has the three standard streams, and no other descriptor of ours', async () => {
  const { stdout } = await run(['sh', '-c', 'ls -l /proc/$$/fd | grep -c socket']);
  expect(stdout).toBe('3');
});
