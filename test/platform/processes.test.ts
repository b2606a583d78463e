import { expect, it } from 'vitest';
import { inNetwork, run, runProcess } from '../../src/platform/processes.ts';

it('gives input, environment and arguments, and takes both outputs without their last newline', async () => {
  const ended = await run(['sh', '-c', 'cat; echo "$1 $WORD"; echo oops >&2; exit 3', 'sh', 'one'], {
    input: 'in\n',
    env: { WORD: 'two' },
  });
  expect(ended).toMatchObject({ exitCode: 3, stdout: 'in\none two', stderr: 'oops', problem: undefined });
  expect(ended.output).toContain('oops');
});

it('has nothing on standard input when nothing is given', async () => {
  expect(await run(['cat'])).toMatchObject({ exitCode: 0, stdout: '' });
});

it('takes no harm from a program that does not read what it is given', async () => {
  expect(await run(['true'], { input: 'x'.repeat(1e6) })).toMatchObject({ exitCode: 0 });
});

it('says that there is no such program', async () => {
  expect(await run(['/no/such/program'])).toMatchObject({ exitCode: undefined, missing: true });
  await expect(runProcess(['no-such-program'])).rejects.toMatchObject({
    code: 'failed',
    advice: 'install no-such-program on this node',
  });
});

it('ends a program that hangs, or that nobody waits for any more', async () => {
  expect(await run(['sleep', '60'], { timeoutMs: 50 })).toMatchObject({
    exitCode: undefined,
    problem: expect.stringMatching(/^no end, and nothing done for 0\.0\d+ s$/) as string,
  });
  const abort = new AbortController();
  const given = run(['sleep', '60'], { signal: abort.signal });
  abort.abort();
  expect(await given).toMatchObject({ problem: 'it was given up' });
  expect(await run(['sleep', '60'], { signal: abort.signal })).toMatchObject({ problem: 'it was given up' });
});

it('lets a program go on that is slow but works, also in a child, and ends it at ten times its limit', async () => {
  const busy = 'until=$(($(date +%s%N) / 1000000 + $1)); while [ $(($(date +%s%N) / 1000000)) -lt $until ]; do :; done';
  const slow = await run(['sh', '-c', `(${busy}); true`, 'sh', '4000'], { timeoutMs: 1_500 });
  expect(slow).toMatchObject({ exitCode: 0, problem: undefined });
  const circling = await run(['sh', '-c', 'while :; do :; done'], { timeoutMs: 200 });
  // Or sooner, when it has no processor for so long itself.
  expect(circling).toMatchObject({
    exitCode: undefined,
    problem: expect.stringMatching(/^no end( within 2 s|, and nothing done)/) as string,
  });
});

it('names the signal that ended a program', async () => {
  expect(await run(['sh', '-c', 'kill -9 $$'])).toMatchObject({ exitCode: undefined, problem: 'ended by SIGKILL' });
});

it('fails with the first lines of what the program said', async () => {
  await expect(runProcess(['sh', '-c', 'printf "a\\nb\\nc\\nd\\n" >&2; exit 1'])).rejects.toThrow('a / b / c');
  await expect(runProcess(['sh', '-c', 'exit 4'])).rejects.toThrow('exit code 4');
});

it('puts a command into a network namespace', () => {
  expect(inNetwork('/proc/7/ns/net', ['ip', 'link'])).toEqual(['nsenter', '--net=/proc/7/ns/net', 'ip', 'link']);
});
