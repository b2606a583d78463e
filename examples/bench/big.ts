/** What a live migration of a big task costs: a redis with 1 GB, by the way of its own between agents, and by gRPC in turns with it. */
import type { Stacks } from '../demo/stacks.ts';
import { median } from './bench.ts';
import type { BenchItem } from './bench.ts';
import { deployBigRedis } from './redis.ts';

/** Of each kind; `BENCH_BIG_ROUNDS`. */
const ROUNDS = Number(process.env.BENCH_BIG_ROUNDS ?? 3);
const MEGABYTES = Number(process.env.BENCH_BIG_MB ?? 1000);

/** The port on which agents send parts to each other: 7433 + 2 (agent/transfer). */
const TRANSFER_PORT = 7435;

/**
 * A machine that gives freed memory back to its hypervisor takes five times as long for the first touch of a page. What is to be compared begins with
 * memory that is there.
 */
async function prewarm(stacks: Stacks, node: string): Promise<void> {
  const script = `f=/run/swarmcut/prewarm; head -c ${4 * MEGABYTES}M /dev/zero >$f; rm $f`;
  await stacks.must(node, ['sh', '-c', script]);
}

async function closePort(stacks: Stacks, node: string, closed: boolean): Promise<void> {
  const rules = closed
    ? `nft add table inet bench; nft 'add chain inet bench input { type filter hook input priority -300; }'; nft add rule inet bench input tcp dport ${TRANSFER_PORT} reject with tcp reset`
    : 'nft delete table inet bench 2>/dev/null; true';
  await stacks.must(node, ['sh', '-c', rules]);
}

/** How long a redis of 1 GB stands still while it moves. */
export const big: BenchItem = {
  name: 'big',
  title: 'downtime of a live migration of a redis of 1 GB',
  run: async ({ stacks, say, signal }) => {
    say(`filling a redis with ${MEGABYTES} MB`);
    await deployBigRedis(stacks, MEGABYTES);
    const downtimes = { own: [] as number[], grpc: [] as number[] };
    for (let round = 0; round < 2 * ROUNDS && !signal.aborted; round++) {
      const way = round % 2 === 0 ? 'own' : 'grpc';
      const { node } = await stacks.task('redis', 'redis');
      const target = stacks.nodes[(stacks.nodes.indexOf(node) + 1) % stacks.nodes.length] ?? 'n1';
      await closePort(stacks, node, way === 'grpc');
      await prewarm(stacks, node);
      const { downtimeMs } = await stacks.coordinate<{ downtimeMs: number }>([
        'migrate',
        'redis_redis',
        '--to',
        target,
      ]);
      say(`from ${node} to ${target} by ${way === 'own' ? 'the way of its own' : 'gRPC'}: ${downtimeMs} ms`);
      downtimes[way].push(downtimeMs);
      await closePort(stacks, node, false);
    }
    const { errors, errorList } = await stacks.status('redis', 'client');
    if (errors > 0) throw new Error(`the client found errors: ${errorList.join('; ')}`);
    await stacks.remove('redis', { volumes: true });
    return [
      {
        what: `downtime of a migration of a redis of ${MEGABYTES} MB, median of ${ROUNDS}`,
        value: median(downtimes.own) / 1000,
        unit: 's',
        samples: downtimes.own,
      },
      {
        what: 'the same where the port for parts is closed (gRPC), median',
        value: median(downtimes.grpc) / 1000,
        unit: 's',
        samples: downtimes.grpc,
      },
    ];
  },
};
