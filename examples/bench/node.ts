/** What swarmcut costs a node that takes no snapshots. */
import { waitFor } from '../testbed/index.ts';
import { median } from './bench.ts';
import type { BenchItem } from './bench.ts';

const STARTS = 200;
const IPERF_SECONDS = 4;
const IPERF_PAIRS = 4;
const PATIENCE_MS = 30_000;

/** What the shim adds to each start of a container. */
export const shim: BenchItem = {
  name: 'shim',
  title: 'cost of the shim per call',
  run: async ({ stacks, say }) => {
    say(`${STARTS} calls each`);
    const script = `
      const { spawnSync } = require('node:child_process');
      const time = (command) => {
        const begun = process.hrtime.bigint();
        const { status } = spawnSync(command, ['--version'], { stdio: 'ignore' });
        if (status !== 0) throw new Error(command + ': exit code ' + status);
        return Number(process.hrtime.bigint() - begun) / 1e6;
      };
      const runc = [], shim = [];
      for (let i = 0; i < ${STARTS}; i++) { runc.push(time('/usr/sbin/runc')); shim.push(time('/opt/swarmcut/agent/runtime/shim/shim.sh')); }
      console.log(JSON.stringify({ runc, shim }));`;
    const measured = JSON.parse(await stacks.must('n1', ['node', '-e', script])) as { runc: number[]; shim: number[] };
    const [runc, withShim] = [median(measured.runc), median(measured.shim)];
    return [
      { what: `runc --version, median of ${STARTS}`, value: runc, unit: 'ms' },
      { what: `shim.sh --version, median of ${STARTS}`, value: withShim, unit: 'ms' },
      { what: 'cost of the shim per call', value: withShim - runc, unit: 'ms', aim: 5 },
    ];
  },
};

/** What an agent needs that has nothing to do: started anew, and asked once. */
export const memory: BenchItem = {
  name: 'memory',
  title: 'memory of an idle agent',
  run: async ({ stacks, say }) => {
    say('restarting the agent of n3');
    const pid = await stacks.must('n3', ['cat', '/run/testbed/agent.pid']);
    await stacks.must('n3', ['kill', pid]);
    await waitFor(
      'a new agent',
      async () => {
        const now = await stacks.must('n3', ['cat', '/run/testbed/agent.pid']);
        const { result } = await stacks.coordinator<object[]>(['check']);
        return now !== pid && result?.every((node) => !('error' in node));
      },
      { timeoutMs: PATIENCE_MS, intervalMs: 500 },
    );
    const text = await stacks.must('n3', ['sh', '-c', 'cat /proc/$(cat /run/testbed/agent.pid)/smaps_rollup']);
    const megabytes = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1024;
    return [
      { what: 'resident memory of an idle agent (RSS)', value: megabytes('Rss'), unit: 'MB', aim: 100 },
      { what: 'the same, its share of shared pages only (PSS)', value: megabytes('Pss'), unit: 'MB' },
    ];
  },
};

/** Throughput through the overlay network with and without the interceptor's rules, in turns. */
export const throughput: BenchItem = {
  name: 'iperf',
  title: 'throughput with and without the interceptor',
  run: async ({ stacks, say }) => {
    const image = 'swarmcut/examples:latest';
    await stacks.must('n1', ['docker', 'network', 'create', '-d', 'overlay', 'bench-iperf']);
    const create = [
      'docker',
      'service',
      'create',
      '-d',
      '--no-resolve-image',
      '--network',
      'bench-iperf',
      '--endpoint-mode',
      'dnsrr',
    ];
    const start = (name: string, node: string, ...command: string[]): Promise<string> =>
      stacks.must('n1', [...create, '--name', name, '--constraint', `node.hostname==${node}`, image, ...command]);
    try {
      await start('bench-server', 'n2', 'iperf3', '-s');
      await start('bench-client', 'n3', 'sleep', 'infinity');
      const container = (node: string, service: string): Promise<string> =>
        waitFor(
          service,
          async () => {
            const filter = `label=com.docker.swarm.service.name=${service}`;
            const id = await stacks.must(node, ['docker', 'ps', '-q', '-f', filter]);
            return id === '' ? undefined : id;
          },
          { timeoutMs: PATIENCE_MS },
        );
      const [server, client] = [await container('n2', 'bench-server'), await container('n3', 'bench-client')];
      const subnet = await stacks.must('n1', [
        'docker',
        'network',
        'inspect',
        '-f',
        '{{(index .IPAM.Config 0).Subnet}}',
        'bench-iperf',
      ]);
      // The agent's own code in the agent's own place: rules as they stand when a round has made its cut and waits for the others.
      const attach = `
        const { KernelInterceptor } = await import('/opt/swarmcut/dist/agent/network/interceptor.js');
        const [pid, subnet, verb] = process.argv.slice(1);
        const interceptor = new KernelInterceptor({ netns: '/proc/' + pid + '/ns/net' });
        if (verb === 'detach') await interceptor.detach();
        else { await interceptor.prepare({ subnets: [subnet], epoch: 1 }); await interceptor.advance(1); }`;
      const turn = async (node: string, id: string, verb: 'attach' | 'detach'): Promise<void> => {
        const pid = await stacks.must(node, ['docker', 'inspect', '-f', '{{.State.Pid}}', id]);
        await stacks.must(node, ['node', '--input-type=module', '-e', attach, '--', pid, subnet, verb]);
      };
      const measure = async (): Promise<number> => {
        const text = await stacks.must('n3', [
          'docker',
          'exec',
          client,
          'iperf3',
          '-J',
          '-c',
          'bench-server',
          '-t',
          String(IPERF_SECONDS),
        ]);
        const result = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
        return result.end.sum_received.bits_per_second / 1e9;
      };
      await waitFor('the first run', measure, { timeoutMs: PATIENCE_MS });
      const without: number[] = [];
      const withRules: number[] = [];
      for (let pair = 0; pair < IPERF_PAIRS; pair++) {
        say(`pair ${pair + 1} of ${IPERF_PAIRS}`);
        without.push(await measure());
        await Promise.all([turn('n2', server, 'attach'), turn('n3', client, 'attach')]);
        withRules.push(await measure());
        await Promise.all([turn('n2', server, 'detach'), turn('n3', client, 'detach')]);
      }
      return [
        {
          what: `iperf3 through the overlay, median of ${IPERF_PAIRS}`,
          value: median(without),
          unit: 'Gbit/s',
          samples: without,
        },
        {
          what: 'the same with the interceptor attached',
          value: median(withRules),
          unit: 'Gbit/s',
          samples: withRules,
        },
        {
          what: 'with against without',
          value: median(withRules) / median(without),
          unit: '×',
          aim: 0.97,
          atLeast: true,
        },
      ];
    } finally {
      await stacks.run('n1', ['docker', 'service', 'rm', 'bench-server', 'bench-client']);
      await waitFor(
        'the end of the network',
        async () => (await stacks.run('n1', ['docker', 'network', 'rm', 'bench-iperf'])).exitCode === 0,
        { timeoutMs: PATIENCE_MS, intervalMs: 500 },
      );
    }
  },
};
