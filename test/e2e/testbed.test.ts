import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  EXAMPLES_IMAGE,
  TestbedError,
  claimBed,
  down,
  execOn,
  leftovers,
  status,
  up,
  waitFor,
} from '../../examples/testbed/index.ts';
import { bedUnderTest, printProgress } from './bed.ts';

const bed = { name: bedUnderTest() };
const TIMEOUT_MS = 60_000;

/** Runs a command that must succeed; its output. */
async function run(node: string, ...argv: string[]): Promise<string> {
  const result = await execOn(bed, node, argv, { timeoutMs: TIMEOUT_MS });
  expect(result, `${argv.join(' ')} on ${node}`).toMatchObject({ exitCode: 0 });
  return result.stdout;
}

describe('a test bed that is up', () => {
  test('is one Swarm of three ready nodes with agents', async () => {
    const found = await status(bed);
    expect(found.healthy).toBe(true);
    expect(found.nodes.map((node) => node.name)).toEqual(['n1', 'n2', 'n3']);
    const nodes = await run('n1', 'docker', 'node', 'ls', '--format', '{{.Hostname}} {{.Status}} {{.ManagerStatus}}');
    expect(nodes.split('\n').sort()).toEqual(['n1 Ready Leader', 'n2 Ready ', 'n3 Ready ']);
  });

  test('has the same image on every node', async () => {
    const ids = await Promise.all(
      ['n1', 'n2', 'n3'].map((node) => run(node, 'docker', 'image', 'inspect', '-f', '{{.Id}}', EXAMPLES_IMAGE)),
    );
    expect(new Set(ids).size).toBe(1);
  });

  test('up again changes nothing', async () => {
    const before = await status(bed);
    await up(bed);
    expect(await status(bed)).toEqual(before);
  });

  test('exec hands on output, input and exit code, and kills at its deadline', async () => {
    expect(await execOn(bed, 'n2', ['hostname'])).toMatchObject({ stdout: 'n2', exitCode: 0 });
    const echoed = await execOn(bed, 'n2', ['sh', '-c', 'cat; echo oops >&2; exit 7'], { input: 'in' });
    expect(echoed).toMatchObject({ stdout: 'in', stderr: 'oops', exitCode: 7 });

    const late = await execOn(bed, 'n2', ['sleep', '4711'], { timeoutMs: 200 });
    expect(late.timedOut).toBe(true);
    await waitFor(
      'the end of sleep',
      async () => (await execOn(bed, 'n2', ['pgrep', '-fx', 'sleep 4711'])).exitCode === 1,
      {
        timeoutMs: 5000,
      },
    );
  });

  test('names what there is when asked for what there is not', async () => {
    await expect(execOn(bed, 'n9', ['true'])).rejects.toThrow(/no node 'n9': it has n1, n2, n3/);
    await expect(execOn({ name: 'nowhere' }, 'n1', ['true'])).rejects.toThrow(TestbedError);
    await expect(up({ ...bed, nodes: 2 })).rejects.toThrow(/has 3 nodes, not 2/);
    await expect(up({ name: 'Not_A_Name' })).rejects.toThrow(/cannot be used/);
  });

  test('starts a dead agent again, but not while it is to be down', async () => {
    const agentOfN3 = async (): Promise<boolean> => (await status(bed)).nodes[2]?.agent === true;
    const pid = await run('n3', 'cat', '/run/testbed/agent.pid');
    try {
      await run('n3', 'sh', '-c', `touch /run/testbed/agent.down; kill -9 ${pid}`);
      await waitFor('the death of the agent', async () => !(await agentOfN3()), { timeoutMs: 10_000 });
    } finally {
      await run('n3', 'rm', '-f', '/run/testbed/agent.down');
    }
    await waitFor('the agent', agentOfN3, { timeoutMs: 20_000 });
    expect(await run('n3', 'cat', '/run/testbed/agent.pid')).not.toBe(pid);
  });
});

describe('services on two nodes', () => {
  const service = (name: string, node: string, ...argv: string[]): Promise<string> =>
    run(
      'n1',
      ...['docker', 'service', 'create', '--quiet', '--detach', '--no-resolve-image', '--name', name],
      ...['--network', 'e2e-bed', '--endpoint-mode', 'dnsrr', '--constraint', `node.hostname==${node}`],
      ...[EXAMPLES_IMAGE, ...argv],
    );

  beforeAll(async () => {
    await run('n1', 'docker', 'network', 'create', '--driver', 'overlay', 'e2e-bed');
    await service('e2e-bed-server', 'n2', 'sh', '-c', 'while echo from $(hostname) | nc -l -p 7000; do :; done');
    await service('e2e-bed-client', 'n3', 'sleep', 'infinity');
  });

  afterAll(async () => {
    await execOn(bed, 'n1', ['docker', 'service', 'rm', 'e2e-bed-server', 'e2e-bed-client']);
    await waitFor(
      'removal of the network',
      async () => (await execOn(bed, 'n1', ['docker', 'network', 'rm', 'e2e-bed'])).exitCode === 0,
      { timeoutMs: 60_000, intervalMs: 500 },
    );
  });

  test('reach each other by name through the overlay network', async () => {
    const server = await waitFor('the server', () => containerOf('n2', 'e2e-bed-server'), { timeoutMs: TIMEOUT_MS });
    const client = await waitFor('the client', () => containerOf('n3', 'e2e-bed-client'), { timeoutMs: TIMEOUT_MS });
    const heard = await waitFor(
      'an answer through the overlay network',
      async () => {
        const answer = await execOn(bed, 'n3', ['docker', 'exec', client, 'nc', '-w', '2', 'e2e-bed-server', '7000']);
        return answer.exitCode === 0 && answer.stdout;
      },
      { timeoutMs: TIMEOUT_MS },
    );
    // A container's host name is its short id.
    expect(heard).toBe(`from ${server}`);
  });
});

async function containerOf(node: string, service: string): Promise<string | undefined> {
  const id = await run(node, 'docker', 'ps', '-q', '-f', `label=com.docker.swarm.service.name=${service}`);
  return id === '' ? undefined : id;
}

describe('down', () => {
  const other = { name: 'ci-down' };

  beforeAll(async () => {
    // Its name does not depend on that of the bed under test.
    const claim = await claimBed(other, 'tests of the test bed');
    await down(other);
    return () => claim.release();
  });

  afterEach(async () => {
    await down(other);
  });

  test('leaves nothing of a bed that works', async () => {
    await up({ ...other, nodes: 1 }, printProgress);
    const seen = await everythingOf();
    expect(seen.processes.length).toBeGreaterThan(3);
    await down(other, printProgress);
    expectNothing(seen);
  });

  test('leaves nothing after a crash with a frozen container', async () => {
    await up({ ...other, nodes: 1 });
    const start = ['docker', 'run', '-d', '--name', 'frozen', '--network', 'none', EXAMPLES_IMAGE, 'sleep', 'infinity'];
    expect(await execOn(other, 'n1', start)).toMatchObject({ exitCode: 0 });
    expect(await execOn(other, 'n1', ['docker', 'pause', 'frozen'])).toMatchObject({ exitCode: 0 });
    const seen = await everythingOf();
    process.kill(seen.init, 'SIGKILL');
    expect(await leftovers(other.name)).not.toEqual([]);
    await down(other);
    expectNothing(seen);
  });

  test('can be done without: up makes a crashed bed anew', async () => {
    await up({ ...other, nodes: 1 });
    const seen = await everythingOf();
    process.kill(seen.init, 'SIGKILL');
    await waitFor('the death of the host', async () => (await status(other)).nodes[0]?.pid === null, {
      timeoutMs: 10_000,
    });
    await up(other);
    expect((await status(other)).healthy).toBe(true);
  });

  test('removes a bed that was never finished', async () => {
    execFileSync('ip', ['netns', 'add', `swarmcut-${other.name}-n1`]);
    expect(await leftovers(other.name)).toEqual([`network namespace swarmcut-${other.name}-n1`]);
    await down(other);
    expect(await leftovers(other.name)).toEqual([]);
  });

  /** The host's init and its descendants, found without the test bed's own means; each as pid and start time. */
  async function everythingOf(): Promise<{ init: number; processes: string[] }> {
    const init = (await status(other)).nodes[0]?.pid ?? undefined;
    if (init === undefined) throw new Error('the host is not running');
    return {
      init,
      processes: pids()
        .filter((pid) => descendsFrom(pid, init))
        .map(identity),
    };
  }

  function expectNothing(seen: { processes: string[] }): void {
    const alive = new Set(pids().map(identity));
    expect(seen.processes.filter((process) => alive.has(process))).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(other.name);
    expect(output('ip', 'netns', 'list')).not.toContain(other.name);
    expect(output('ip', 'link')).not.toContain(other.name);
    expect(output('find', '/sys/fs/cgroup', '-name', `*${other.name}*`)).toBe('');
    expect(output('find', '/var/lib', '-maxdepth', '2', '-name', other.name)).toBe('');
    expect(output('nft', 'list', 'tables')).not.toMatch(/swarmcut/);
  }
});

function output(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8' });
}

function pids(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

function descendsFrom(pid: string, init: number): boolean {
  for (let at: string | undefined = pid; at !== undefined && at !== '0'; at = statOf(at)?.[1]) {
    if (at === String(init)) return true;
  }
  return false;
}

/** Pid and start time: together they tell a process from a later one. */
function identity(pid: string): string {
  return `${pid} ${statOf(pid)?.[19] ?? ''}`;
}

/** The fields of /proc/PID/stat after the command's name: state, parent, … */
function statOf(pid: string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
