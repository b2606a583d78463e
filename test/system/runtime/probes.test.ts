import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { probesEnd } from '../../../agent/runtime/docker/probes.ts';
import { Standstills } from '../../../agent/runtime/shim/standstills.ts';
import { shimFixture } from '../../agent/runtime/shim/fixture.ts';
import type { ShimFixture } from '../../agent/runtime/shim/fixture.ts';

const SHIM = fileURLToPath(new URL('../../../agent/runtime/shim/shim.sh', import.meta.url));
const CHECK = { args: ['true'], unhealthy: false, timeoutMs: 60_000, verdictMs: 0 };

/**
 * As containerd's shim: the parent of a first process that has pids of its own, and of the runtime, which has those of the node. Says the pid of
 * each. Where there is a runc it is hidden, so that shim.sh reads its settings between its look for a mark and runc: there it can be held.
 */
const PARENT = `
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
here = os.open('/proc/self/ns/pid', os.O_RDONLY)
NEWNS, NEWPID, BIND, PRIVATE, REC = 0x20000, 0x20000000, 4096, 1 << 18, 16384
def must(result):
    if result: raise OSError(ctypes.get_errno(), 'it cannot have namespaces of its own')
must(libc.unshare(NEWNS))
must(libc.mount(None, b'/', None, PRIVATE | REC, None))
for runc in (b'/usr/sbin/runc', b'/usr/bin/runc', b'/usr/local/sbin/runc', b'/usr/local/bin/runc'):
    if os.path.exists(runc): must(libc.mount(b'/dev/null', runc, None, BIND, None))
def start(argv):
    pid = os.fork()
    if pid == 0: os.execvp(argv[0], argv)
    print(pid, flush=True)
    return pid
must(libc.unshare(NEWPID))
first = start(['sleep', '1000'])
must(libc.setns(here, NEWPID))
for line in sys.stdin: os.waitpid(start(line.split()), 0)
os.kill(first, signal.SIGKILL)
`;

let fixture: ShimFixture;
let parent: ChildProcess;
beforeEach(() => void (fixture = shimFixture()));
afterEach(() => {
  fixture.remove();
  parent.stdin?.end();
});

it('a probe that has looked for a standstill just before it began is waited for', async () => {
  const hold = join(fixture.base, 'hold');
  fixture.put('hold', '');
  fixture.put(
    'run/shim.conf',
    `echo >'${fixture.base}/looked'; while [ -e '${hold}' ]; do :; done; runc='${fixture.runc}'\n`,
  );
  const env = { PATH: '/usr/bin:/bin', SWARMCUT_RUN: fixture.run };
  parent = spawn('python3', ['-c', PARENT], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: parent.stdout ?? process.stdin })[Symbol.asyncIterator]();
  const pid = Number((await lines.next()).value);
  parent.stdin?.write(`${SHIM} --root /r exec --detach --process /none --pid-file /none c1\n`);
  await vi.waitUntil(() => fixture.exists('looked'), { timeout: 30_000 });

  new Standstills({ run: fixture.run }).mark({ containerId: 'c1', endsInMs: 60_000, decided: false, health: CHECK });
  const callsAtEnd = probesEnd(pid, CHECK).then(() => fixture.calls());
  // Enough for one that does not wait: it looks at two processes.
  await Promise.race([callsAtEnd, new Promise((resolve) => setTimeout(resolve, 300))]);
  rmSync(hold);
  expect(await callsAtEnd).toEqual(['--root /r exec --detach --process /none --pid-file /none c1']);
});
