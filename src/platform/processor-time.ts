import { readdir, readFile } from 'node:fs/promises';

/**
 * How much processor time a process and its descendants have had, in nanoseconds. It grows for whatever works, also for what waits for a
 * processor most of the time; not for what hangs. Of processes that have ended meanwhile: no more.
 */
export async function processorTime(pid: number): Promise<bigint> {
  let sum = 0n;
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  for (const thread of threads) {
    const folder = `/proc/${pid}/task/${thread}`;
    // sched-stats.rst: time on the processor, time in its queue, times that it was there.
    const [running = '0'] = (await readFile(`${folder}/schedstat`, 'utf8').catch(() => '0')).split(' ');
    sum += BigInt(running.trim() || 0);
    const children = await readFile(`${folder}/children`, 'utf8').catch(() => '');
    for (const child of children.split(' ').filter((each) => each.trim() !== ''))
      sum += await processorTime(Number(child));
  }
  return sum;
}
