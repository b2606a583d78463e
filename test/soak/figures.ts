/** What swarmcut takes of its nodes, counted from outside while nothing is under way; and whether it has grown. */
import type { Stacks } from '../../examples/demo/stacks.ts';
import { TASKS } from './bank.ts';

/** One figure that must not grow. */
interface Measure {
  readonly name: string;
  readonly title: string;
  readonly unit: '' | 'KiB';
  /** Beyond {@link GROWTH}: what comes and goes without being a leak. */
  readonly allowance: number;
}

/** A figure at the end may be so many times what it was at the beginning. */
const GROWTH = 1.1;

/**
 * All that is counted, on each node. Allowances:
 * - Memory: an agent or sidecar of Node takes 6-10 MB more or less from one look to the next, as its heap is collected. Sidecars: each.
 * - Descriptors: a connection of a coordinator that has just ended, or to another agent, may not be closed yet.
 * - Files: snapshots that are kept differ by some parts. The folders by which a store of parts spreads them (256 at most) come with use, and stay.
 * - Tables: without former addresses, which stay until somebody else has them: as many as the network has, at most.
 * - The rest: one thing of each kind may be on its way out.
 */
export const MEASURES: readonly Measure[] = [
  { name: 'agentRss', title: 'memory of the agent', unit: 'KiB', allowance: 12 * 1024 },
  { name: 'agentFds', title: 'descriptors of the agent', unit: '', allowance: 6 },
  { name: 'sidecarRssEach', title: 'memory of a sidecar', unit: 'KiB', allowance: 12 * 1024 },
  { name: 'sidecarFdsEach', title: 'descriptors of a sidecar', unit: '', allowance: 6 },
  { name: 'sidecarsBeyond', title: 'sidecars beyond one per task', unit: '', allowance: 0 },
  { name: 'processes', title: 'other processes of ours', unit: '', allowance: 1 },
  { name: 'zombies', title: 'dead processes that nobody asked for', unit: '', allowance: 2 },
  { name: 'runFiles', title: 'files and folders in the run directory', unit: '', allowance: 4 },
  { name: 'stateFiles', title: 'files and folders in the state directory', unit: '', allowance: 20 },
  { name: 'nftEach', title: 'nftables lines per task', unit: '', allowance: 8 },
  { name: 'nftHost', title: "nftables lines of ours in the node's namespace", unit: '', allowance: 0 },
  { name: 'namespacesBeyond', title: 'namespaces beyond the containers’', unit: '', allowance: 2 },
  { name: 'mounts', title: 'mounts below our directories', unit: '', allowance: 0 },
];

/** By node, then by the name of the measure. */
export type Figures = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Runs in a host. Everything of one look, as one line of JSON. */
const LOOK = `
const fs = require('node:fs'), cp = require('node:child_process');
const read = (f) => { try { return fs.readFileSync(f, 'utf8'); } catch { return ''; } };
const list = (d) => { try { return fs.readdirSync(d); } catch { return []; } };
const rss = (pid) => Number(/^VmRSS:\\s+(\\d+)/m.exec(read('/proc/' + pid + '/status'))?.[1] ?? 0);
const fds = (pid) => list('/proc/' + pid + '/fd').length;
const link = (f) => { try { return fs.readlinkSync(f); } catch { return ''; } };
const out = (...argv) => cp.spawnSync(argv[0], argv.slice(1), { encoding: 'utf8' }).stdout ?? '';
const files = (dir, skip) => list(dir).reduce((sum, name) => {
  const path = dir + '/' + name;
  if (skip.includes(name)) return sum;
  try {
    const inside = fs.lstatSync(path).isDirectory() ? files(path, []) : 0;
    return sum + inside + (/\\/parts\\/[0-9a-f]{2}$/.test(path) ? 0 : 1);
  } catch { return sum; }
}, 0);
const pids = list('/proc').filter((name) => /^\\d+$/.test(name));
const agent = read('/run/testbed/agent.pid').trim();
const commands = new Map(pids.map((pid) => [pid, read('/proc/' + pid + '/cmdline').split('\\0').join(' ')]));
const sidecars = pids.filter((pid) => pid !== String(process.pid) && commands.get(pid).includes('/agent/sidecar/main.js'));
const ours = pids.filter((pid) => pid !== agent && !sidecars.includes(pid) && pid !== String(process.pid) &&
  /swarmcut|coordinator\\/main|agent\\/main|criu|runc /.test(commands.get(pid)) && !/supervise\\.sh|containerd-shim|runtime-runc|dockerd/.test(commands.get(pid)));
const zombies = pids.filter((pid) => / Z /.test(read('/proc/' + pid + '/stat').replace(/\\(.*\\)/, ' ').slice(0, 20)));
const containers = out('docker', 'ps', '-q', '--no-trunc', '-f', 'label=com.docker.stack.namespace').split('\\n').filter(Boolean);
const first = containers.map((id) => out('docker', 'inspect', '-f', '{{.State.Pid}}', id).trim()).filter((pid) => Number(pid) > 0);
const all = out('docker', 'ps', '-q').split('\\n').filter(Boolean).length;
const lines = (text) => text.split('\\n').filter((line) => line.trim() !== '').length;
const nft = first.map((pid) => lines(out('nsenter', '--net=/proc/' + pid + '/ns/net', 'nft', 'list', 'ruleset').replace(/table inet swarmcut_former [^]*?\\n}/, '')));
const nftHost = out('nft', 'list', 'tables').split('\\n').filter((line) => line.includes('swarmcut')).length;
const kinds = ['net', 'mnt', 'pid', 'ipc', 'uts'];
const namespaces = new Set(pids.flatMap((pid) => kinds.map((kind) => link('/proc/' + pid + '/ns/' + kind)))).size;
const max = (values) => values.length === 0 ? 0 : Math.max(...values);
console.log(JSON.stringify({
  agentPid: Number(agent), agentRss: rss(agent), agentFds: fds(agent),
  sidecars: sidecars.length, sidecarRssEach: max(sidecars.map(rss)), sidecarFdsEach: max(sidecars.map(fds)),
  tasks: containers.length, processes: ours.length, zombies: zombies.length,
  ours: ours.map((pid) => commands.get(pid).slice(0, 160)),
  runFiles: files('/run/swarmcut', []), stateFiles: files('/var/lib/swarmcut', ['log']),
  nftEach: max(nft), nftHost, namespacesBeyond: namespaces - kinds.length * all,
  mounts: read('/proc/1/mountinfo').split('\\n').filter((line) => / \\/(run|var\\/lib)\\/swarmcut\\//.test(line)).length,
}));`;

/** What {@link LOOK} says besides the measures. */
interface Look {
  readonly sidecars: number;
  readonly tasks: number;
  readonly ours: readonly string[];
  readonly [measure: string]: number | readonly string[];
}

/** @returns all nodes' figures, and what is still on its way: processes of ours besides agents and sidecars, tasks that have moved and not ended */
export async function look(
  stacks: Stacks,
  sidecarsPerTask: 0 | 1,
): Promise<{ figures: Figures; busy: readonly string[] }> {
  const found = await Promise.all(
    stacks.nodes.map(async (node) => {
      const text = await stacks.must(node, ['node', '-e', LOOK]);
      return [node, JSON.parse(text) as Look] as const;
    }),
  );
  const tasks = found.reduce((sum, [, seen]) => sum + seen.tasks, 0);
  const figures = found.map(([node, seen]) => {
    const known = MEASURES.map(({ name }): [string, number] => {
      if (name === 'sidecarsBeyond') return [name, seen.sidecars - sidecarsPerTask * seen.tasks];
      return [name, Number(seen[name])];
    });
    return [node, Object.fromEntries(known)] as const;
  });
  return {
    figures: Object.fromEntries(figures),
    busy: [
      ...found.flatMap(([node, { ours }]) => ours.map((command) => `${node}: ${command}`)),
      ...(tasks > TASKS ? [`${tasks} tasks, not ${TASKS}`] : []),
    ],
  };
}

/** The smaller one of each: for what goes up and down by itself. */
export function least(a: Figures, b: Figures): Figures {
  return Object.fromEntries(
    Object.entries(a).map(([node, values]) => [
      node,
      Object.fromEntries(
        Object.entries(values).map(([name, value]) => [name, Math.min(value, b[node]?.[name] ?? value)]),
      ),
    ]),
  );
}

/** One figure of one node, at the beginning and at the end. */
export interface Comparison {
  readonly node: string;
  readonly measure: Measure;
  readonly first: number;
  readonly last: number;
  readonly limit: number;
  readonly grown: boolean;
}

/** Every figure of every node against its limit. */
export function compare(first: Figures, last: Figures): Comparison[] {
  return Object.entries(first).flatMap(([node, before]) =>
    MEASURES.map((measure): Comparison => {
      const [then, now] = [before[measure.name] ?? 0, last[node]?.[measure.name] ?? 0];
      const limit = then * GROWTH + measure.allowance;
      return { node, measure, first: then, last: now, limit, grown: now > limit };
    }),
  );
}
