/** Where a fault is put in: the stack under test, its nodes, and the fail points on them. Free of vitest: `npm run test:faults` is a plain program. */
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { AGENT_PORT, execOn, listBeds, pathInHost, waitFor } from '../../../examples/testbed/index.ts';
import { Stacks, type ProgramStatus, type RunningTask } from '../../../examples/demo/stacks.ts';
import type { Step } from '../../../src/model/steps.ts';

/** Agents that are started while this folder exists have fail points in it (examples/testbed/host/supervise.sh). */
const FAIL_POINTS = '/run/testbed/failpoints';

export const MANAGER = 'n1';
export const NODES = ['n1', 'n2', 'n3'] as const;

/** Longest time that a task may stay frozen in a round here. Milliseconds. */
export const FREEZE_MS = 5_000;

/** The same in a restore, and how long it and a migration wait for new tasks. Milliseconds. */
export const RELOCATION_MS = 25_000;

const PATIENCE_MS = 60_000;

/** The pair's two programs, as they say themselves. */
export interface PairStatus {
  readonly client: ProgramStatus;
  readonly server: ProgramStatus;
}

/** One algorithm's stack on a bed whose agents have fail points. */
export class Ground {
  readonly stacks: Stacks;
  readonly bed: string;
  readonly stack: string;
  readonly algorithm: string;

  constructor(bed: string, algorithm: string) {
    this.bed = bed;
    this.stacks = new Stacks(bed);
    this.algorithm = algorithm;
    this.stack = `faults-${algorithm}`;
  }

  /** Runs a shell script on a node. @throws with what it said when it fails */
  sh(node: string, script: string, ...args: readonly string[]): Promise<string> {
    return this.stacks.must(node, ['sh', '-c', script, 'sh', ...args]);
  }

  /** Fail points are on, on all nodes. Before the stack is deployed: sidecars inherit them. */
  async switchOn(nodes: readonly string[] = NODES): Promise<void> {
    await Promise.all(
      nodes.map(async (node) => {
        const script = `[ -d ${FAIL_POINTS} ] && exit 0; mkdir -m 700 ${FAIL_POINTS} && kill -TERM "$(cat /run/testbed/agent.pid)"; echo restarted`;
        if ((await this.sh(node, script)) === '') return;
        await waitFor(
          `an agent with fail points on ${node}`,
          async () => {
            const look = `tr '\\0' '\\n' </proc/$(cat /run/testbed/agent.pid)/environ | grep -q SWARMCUT_FAILPOINTS`;
            return (await execOn({ name: this.bed }, node, ['sh', '-c', look])).exitCode === 0;
          },
          { timeoutMs: PATIENCE_MS },
        );
      }),
    );
    await this.agentsListen();
  }

  /** Deploys the pair, on the two workers: the manager's node is not to die with a task. */
  async deploy(): Promise<void> {
    await this.stacks.deploy('pair', {
      stack: this.stack,
      algorithm: this.algorithm,
      change: ({ services }) => {
        for (const service of Object.values(services)) {
          // Swarm makes new tasks for those that fail: they must not start empty.
          Object.assign(service.deploy, { restart_policy: { condition: 'any', delay: '1s' } });
          service.deploy.placement = { constraints: ['node.role==worker'] };
          service.labels = { ...service.labels, 'swarmcut.freeze-timeout': `${FREEZE_MS}ms` };
        }
      },
    });
  }

  async remove(): Promise<void> {
    await this.stacks.remove(this.stack, { volumes: true });
  }

  tasks(): Promise<RunningTask[]> {
    return this.stacks.tasks(this.stack);
  }

  async status(): Promise<PairStatus> {
    const tasks = await this.tasks();
    const [client, server] = await Promise.all(
      ['client', 'server'].map(async (name) => {
        const [task, another] = tasks.filter(({ service }) => service === `${this.stack}_${name}`);
        if (task === undefined || another !== undefined)
          throw new Error(`${name} has ${another === undefined ? 'no' : 'more than one'} running task`);
        return JSON.parse(await this.stacks.inTask(task, ['cat', '/tmp/status.json'])) as ProgramStatus;
      }),
    );
    if (client === undefined || server === undefined) throw new Error('there are two');
    return { client, server };
  }

  /** Waits until the agents of these nodes take connections. */
  async agentsListen(nodes: readonly string[] = NODES): Promise<void> {
    const record = (await listBeds()).find(({ name }) => name === this.bed);
    await Promise.all(
      (record?.nodes ?? [])
        .filter(({ name }) => nodes.includes(name))
        .map(({ name, address }) =>
          waitFor(`the agent on ${name}`, () => listens(address), { timeoutMs: PATIENCE_MS, intervalMs: 100 }),
        ),
    );
  }

  /**
   * From now on this is done at the step, once on each node.
   * @param what as src/platform/fail-points.ts has it
   */
  async arm(step: Step, what: string): Promise<Armed> {
    const folders = new Map<string, string>();
    for (const node of step.startsWith('coordinator.') ? [MANAGER] : NODES) {
      const folder = await pathInHost(this.stacks.bed, node, FAIL_POINTS);
      await rm(path.join(folder, `${step}.reached`), { force: true });
      await writeFile(path.join(folder, step), `${what}\n`);
      folders.set(node, folder);
    }
    return new Armed(step, folders);
  }

  /** Starts the coordinator, which has fail points. */
  async start(args: readonly string[]): Promise<Running> {
    const file = `/run/testbed/faults-${process.pid}.pid`;
    await this.sh(MANAGER, `rm -f ${file}`);
    // Not in the shell's own place: nsenter stops when its child is stopped, and nobody lets it go on.
    const script = `node /opt/swarmcut/dist/coordinator/main.js "$@" --json & echo $! >${file}; wait $!`;
    const ended = this.stacks.run(MANAGER, ['sh', '-c', script, 'sh', ...args], {
      env: { SWARMCUT_FAILPOINTS: FAIL_POINTS },
    });
    return { ended, signal: (name) => this.sh(MANAGER, `kill -${name} "$(cat ${file})"`).then(() => undefined) };
  }
}

/** A coordinator at work. */
export interface Running {
  readonly ended: Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }>;
  signal(name: 'KILL' | 'STOP' | 'CONT'): Promise<void>;
}

/** A step at which something is to happen. */
export class Armed {
  readonly #step: Step;
  readonly #folders: ReadonlyMap<string, string>;

  constructor(step: Step, folders: ReadonlyMap<string, string>) {
    this.#step = step;
    this.#folders = folders;
  }

  /** The node on which the step was reached. */
  get reached(): string | undefined {
    return [...this.#folders].find(([, folder]) => existsSync(path.join(folder, `${this.#step}.reached`)))?.[0];
  }

  /** No other node stops there any more. */
  async disarm(): Promise<void> {
    for (const folder of this.#folders.values()) await rm(path.join(folder, this.#step), { force: true });
  }

  /** Whoever is held there goes on. */
  async goOn(): Promise<void> {
    await this.disarm();
    for (const folder of this.#folders.values())
      await rm(path.join(folder, `${this.#step}.reached`), { force: true }).catch(() => undefined);
  }
}

function listens(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: AGENT_PORT, timeout: 1000 });
    const end = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}
