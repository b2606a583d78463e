import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import { listConnections, listDatagramSockets } from '../../../agent/network/rewriting/connections.ts';
import { restoreHook } from '../../../agent/network/rewriting/restore-hook.ts';
import type { RewriteEntry, UnconnectedSocket } from '../../../src/model/connection.ts';
import { pairConnections } from '../../../src/model/cuts/cut.ts';
import { planNetworks, type LiveTask } from '../../../src/model/plans/network-plan.ts';
import type { VirtualAddress } from '../../../src/model/plans/former-addresses.ts';
import type { Alias } from '../../../src/model/task.ts';
import type { Bed, Program } from './kernel-bed.ts';

/**
 * Restoring without CRIU: the sockets live on while the addresses of their namespaces change, which is what a restored socket sees.
 * The plan comes from the real connections, and the real hook executes it.
 */
export type Family = 4 | 6;

/** An address on the network of these tests, by its last part. */
export function at(last: number, family: Family = 4): string {
  return family === 4 ? `10.91.0.${last}` : `fd91::${last}`;
}

export interface Moving {
  readonly name: string;
  /** Any in its namespace. */
  readonly program: Pick<Program, 'pid'>;
  /** Last part of its present address. */
  now: number;
  readonly earlier: number[];
}

/** One that runs on. */
export interface Staying extends Moving {
  rewrites?: readonly RewriteEntry[];
}

export interface Move {
  readonly bed: Bed;
  readonly dir: string;
  readonly tasks: readonly Moving[];
  /** Where each of `tasks` goes. */
  readonly to: readonly number[];
  readonly staying?: readonly Staying[];
  readonly families?: readonly Family[];
  readonly virtual?: readonly VirtualAddress[];
  /** By task. */
  readonly bound?: Readonly<Record<string, readonly UnconnectedSocket[]>>;
  /** What else is to be done before they go on. */
  readonly whileBlocked?: () => Promise<void>;
}

/** All tasks get new addresses at once; returns the milliseconds that each hook took. */
export async function move(options: Move): Promise<number[]> {
  const { bed, dir, tasks, to, staying = [], families = [4], virtual = [], bound = {}, whileBlocked } = options;
  const interceptorOf = (name: string): KernelInterceptor => new KernelInterceptor({ netns: bed.netns(name) });
  const places = (last: number): Alias[] => families.map((family) => ({ address: at(last, family), network: 'net' }));
  await Promise.all(tasks.map(({ name }) => interceptorOf(name).block(60_000)));
  const cutOf = async ({ name, program, now, earlier }: Moving): Promise<Omit<LiveTask, 'rewrites'>> => ({
    key: name,
    connections: await listConnections(program.pid),
    datagrams: await listDatagramSockets(program.pid),
    bound: bound[name] ?? [],
    aliases: earlier.flatMap(places),
    addresses: places(now),
  });
  const cut = await Promise.all(
    tasks.map(async (task, index) => ({ ...(await cutOf(task)), newAddresses: places(to[index] ?? 0) })),
  );
  const live = await Promise.all(
    staying.map(async (task) => ({ ...(await cutOf(task)), rewrites: task.rewrites ?? [] })),
  );
  const subnets = families.map((family) => (family === 4 ? '10.91.0.0/24' : 'fd91::/64'));
  const planned = planNetworks({ tasks: cut, live, pairing: pairConnections([...cut, ...live]), subnets, virtual });
  const times: number[] = [];
  for (const [index, task] of tasks.entries()) {
    await forget(bed, task, families);
    const plan = planned.plans.get(task.name);
    if (!plan) throw new Error('no plan');
    const script = await restoreHook({ plan, blockTimeoutMs: 60_000, dir: join(dir, task.name) });
    for (const family of families) {
      await bed.run(task.name, ['ip', `-${family}`, 'address', 'flush', 'dev', 'eth0', 'scope', 'global']);
      const address = `${at(to[index] ?? 0, family)}/${family === 4 ? '24' : '64'}`;
      await bed.run(task.name, ['ip', 'address', 'add', address, 'dev', 'eth0', ...(family === 6 ? ['nodad'] : [])]);
    }
    const started = performance.now();
    const state = JSON.stringify({
      ociVersion: '1.0.2',
      id: 'x',
      status: 'creating',
      pid: task.program.pid,
      bundle: '/b',
    });
    const logOf = (): Promise<string> => readFile(join(dir, task.name, 'hook.log'), 'utf8');
    await execa(script, { input: state }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await logOf()}`);
    });
    times.push(performance.now() - started);
    const log = await logOf();
    if (log !== '') throw new Error(log);
    task.earlier.push(task.now);
    task.now = to[index] ?? 0;
  }
  await whileBlocked?.();
  for (const task of staying) {
    const { rewrites = [], former = [], close = [] } = planned.live.get(task.name) ?? {};
    if (close.length > 0) throw new Error('a connection would be reset');
    await interceptorOf(task.name).setRewrites(rewrites);
    await interceptorOf(task.name).setFormer(former);
    task.rewrites = rewrites;
  }
  await Promise.all(tasks.map(({ name }) => interceptorOf(name).unblock()));
  return times;
}

/** A new container has a new namespace: take away what the last hook left in this one. */
async function forget(bed: Bed, task: Moving, families: readonly Family[]): Promise<void> {
  if (task.earlier.length === 0) return;
  await new KernelInterceptor({ netns: bed.netns(task.name) }).setRewrites([]);
  for (const family of families) {
    for (const last of task.earlier) {
      const address = `${at(last, family)}/${family === 4 ? '32' : '128'}`;
      await bed.run(task.name, ['ip', 'address', 'del', address, 'dev', 'lo']).catch(() => undefined);
    }
    // One for rewritten connections, one for what CRIU sends.
    for (let rules = 0; rules < 2; rules++)
      await bed.run(task.name, ['ip', `-${family}`, 'rule', 'del', 'pref', '100']);
    await bed.run(task.name, ['ip', `-${family}`, 'route', 'flush', 'table', '7433']).catch(() => undefined);
  }
}
