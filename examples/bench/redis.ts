/** What a big memory costs: a redis with 1 GB. */
import { waitFor } from '../testbed/index.ts';
import type { Stacks } from '../demo/stacks.ts';
import { median } from './bench.ts';
import type { BenchItem } from './bench.ts';

const MEGABYTES = 1000;
const ROUNDS = 3;
const FILL_PATIENCE_MS = 300_000;

/** A redis with so much random data, and a client that counts in it. */
export async function deployBigRedis(stacks: Stacks, megabytes = MEGABYTES): Promise<void> {
  await stacks.deploy('redis', {
    algorithm: 'lai-yang',
    change: ({ services: { redis, client } }) => {
      if (redis === undefined || client === undefined) throw new Error('the example has other services now');
      // Saving to its own volume in between would double the memory at a time that is not ours to choose.
      redis.command = [...(redis.command ?? []).slice(0, -1), ''];
      client.environment = { ...client.environment, REDIS_FILL_MB: String(megabytes), REDIS_PERIOD_MS: '20' };
    },
  });
  const redis = await stacks.task('redis', 'redis');
  await waitFor(
    `a redis of ${megabytes} MB`,
    async () => {
      const info = await stacks.inTask(redis, ['redis-cli', 'info', 'memory']);
      return Number(/used_memory:(\d+)/.exec(info)?.[1]) > megabytes * 1e6;
    },
    { timeoutMs: FILL_PATIENCE_MS, intervalMs: 500 },
  );
}

/** How long a redis of 1 GB is frozen, against plain `runc checkpoint` to a tmpfs. Alternating, in one run. */
export const freeze: BenchItem = {
  name: 'freeze',
  title: 'freeze of a redis of 1 GB against plain runc checkpoint',
  run: async ({ stacks, say }) => {
    say(`filling a redis with ${MEGABYTES} MB`);
    await deployBigRedis(stacks);
    const { node, containerId } = await stacks.task('redis', 'redis');
    const plain: number[] = [];
    const ours: number[] = [];
    const script = `
      dir=$(mktemp -d /tmp/bench.XXXXXX)
      begun=$(date +%s%N)
      runc --root /run/docker/runtime-runc/moby checkpoint --leave-running --tcp-established --file-locks --ext-unix-sk \
        --image-path "$dir/image" --work-path "$dir" "$1" >&2 || { tail -5 "$dir/dump.log" >&2; exit 1; }
      echo $((($(date +%s%N) - begun) / 1000))
      rm -r "$dir"`;
    for (let round = 0; round < ROUNDS; round++) {
      say(`plain runc checkpoint, ${round + 1} of ${ROUNDS}`);
      plain.push(Number(await stacks.must(node, ['sh', '-c', script, 'sh', containerId])) / 1000);
      say(`coordinator snapshot, ${round + 1} of ${ROUNDS}`);
      const { id, tasks } = await stacks.coordinate<{ id: string; tasks: { service: string; frozenMs: number }[] }>([
        'snapshot',
        'redis',
      ]);
      ours.push(tasks.find(({ service }) => service === 'redis_redis')?.frozenMs ?? NaN);
      await stacks.coordinate(['rm', id]);
    }
    await stacks.remove('redis', { volumes: true });
    return [
      {
        what: `plain runc checkpoint of a redis of 1 GB to tmpfs, median of ${ROUNDS}`,
        value: median(plain),
        unit: 'ms',
        samples: plain,
      },
      { what: 'freeze of the same redis by a snapshot, median', value: median(ours), unit: 'ms', samples: ours },
      { what: 'freeze against plain runc checkpoint', value: median(ours) / median(plain), unit: '×', aim: 1.3 },
    ];
  },
};

/** How much an agent grows while another one fetches a part of 1 GB from it. */
export const serve: BenchItem = {
  name: 'serve',
  title: 'memory of an agent while it serves a part of 1 GB',
  run: async ({ stacks, say }) => {
    say(`filling a redis with ${MEGABYTES} MB`);
    await deployBigRedis(stacks);
    const { id } = await stacks.coordinate<{ id: string }>(['snapshot', 'redis']);
    const { node } = await stacks.task('redis', 'redis');
    const target = stacks.nodes.find((name) => name !== node) ?? 'n1';
    // 5: the high-water mark starts anew (proc(5), clear_refs).
    const before = Number(
      await stacks.must(node, [
        'sh',
        '-c',
        'pid=$(cat /run/testbed/agent.pid); echo 5 > /proc/$pid/clear_refs; sed -n "s/VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p" /proc/$pid/status',
      ]),
    );
    say(`restore on ${target}`);
    const begun = performance.now();
    await stacks.coordinate(['restore', id, '--to', target]);
    const seconds = (performance.now() - begun) / 1000;
    const peak = Number(
      await stacks.must(node, [
        'sh',
        '-c',
        'sed -n "s/VmHWM:[^0-9]*\\([0-9]*\\).*/\\1/p" /proc/$(cat /run/testbed/agent.pid)/status',
      ]),
    );
    await stacks.coordinate(['rm', id]);
    await stacks.remove('redis', { volumes: true });
    return [
      { what: 'growth of an agent while it serves 1 GB', value: (peak - before) / 1024, unit: 'MB', aim: 64 },
      { what: 'restore of a redis of 1 GB on another node, wall time', value: seconds, unit: 's' },
    ];
  },
};
