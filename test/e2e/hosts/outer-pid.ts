import { readFile, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { pathInHost } from '../../../examples/testbed/index.ts';
import type { BedOptions } from '../../../examples/testbed/index.ts';

/** The pid, as this machine has it, of the process whose pid, as the host has it, is in a file there. @throws Error if there is none */
export async function outerPid(bed: BedOptions, node: string, file: string): Promise<number> {
  const inner = (await readFile(await pathInHost(bed, node, file), 'utf8')).trim();
  const init = path.dirname(await pathInHost(bed, node, '.'));
  const namespace = await readlink(path.join(init, 'ns/pid'));
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const [innermost] = /^NSpid:.*\t(\d+)$/m.exec(status)?.slice(1) ?? [];
    const own = await readlink(`/proc/${pid}/ns/pid`).catch(() => '');
    if (innermost === inner && own === namespace) return Number(pid);
  }
  throw new Error(`no process ${inner} on ${node} (${file})`);
}
