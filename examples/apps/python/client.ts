/** A client of server.py: numbers to both pools on two connections, and new connections all the time. Environment: ../common/traffic.ts. */
import { board, checked, lasting, must, passing, pause } from '../common/traffic.ts';
import type { Wire } from '../common/wire.ts';

/** The highest count that each pool has given. Both connections use both pools, so that it may go up by more than one. */
const counts = new Map<string, number>();

async function ask(wire: Wire, method: string, n: number): Promise<void> {
  const before = counts.get(method) ?? 0;
  wire.send(`${method} ${n}\n`);
  const words = (await wire.line()).split(' ');
  must('answer', words.slice(0, 3).join(' '), `${method} ${n} ${n * n}`);
  const count = Number(words[3]);
  if (!(count > before)) board.error(`${method}: the workers' count is ${count} after ${before}`);
  counts.set(method, Math.max(count, counts.get(method) ?? 0));
}

for (const method of ['fork', 'spawn']) {
  lasting(method, async (wire) => {
    for (let n = 1; ; n = (n + 1) % 1_000_000) {
      await ask(wire, method, n);
      checked(method);
      await pause();
    }
  });
}

passing('new connections', async (wire, turn) => {
  await ask(wire, turn % 2 === 0 ? 'fork' : 'spawn', turn);
});

board.publish();
