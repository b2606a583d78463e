/**
 * A bed's engines, asked by their API. `docker` would do, but a client of its own for each look, many times a second while something is
 * waited for, took a quarter of all that a busy machine did.
 */
import { PassThrough } from 'node:stream';
import type { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import type Docker from 'dockerode';
import { engineOf, waitFor } from '../testbed/index.ts';
import type { ExecResult } from '../testbed/index.ts';

/** Longest wait for an answer, milliseconds. */
const ANSWER_TIMEOUT_MS = 300_000;

/** The filter by which an engine finds what belongs to a stack. */
const ofStack = (stack: string): { label: string[] } => ({ label: [`com.docker.stack.namespace=${stack}`] });

/** A container that belongs to a stack's task, running or not. */
export interface RunningTask {
  /** `bank_branch-a` */
  readonly service: string;
  readonly slot: string;
  readonly node: string;
  readonly containerId: string;
}

/** As an engine tells of one. */
export interface StackContainer extends RunningTask {
  /** `com.docker.swarm.task.id` */
  readonly taskId: string;
  /** `running`, `exited` and so on. */
  readonly state: string;
  /** For people: `Up 3 minutes (healthy)`. */
  readonly status: string;
}

/** As the engine's API has a task. */
interface SwarmTask {
  readonly ID: string;
  readonly CreatedAt: string;
  readonly DesiredState: string;
  readonly Status: { readonly State: string; readonly Err?: string };
}

/** As much of docker-modem, which has no types, as is used. */
interface Demultiplexer {
  demuxStream(both: NodeJS.ReadableStream, stdout: Writable, stderr: Writable): void;
}

/** The engines of one bed. */
export class Engines {
  readonly #bed: string;

  /** @param bed its name */
  constructor(bed: string) {
    this.#bed = bed;
  }

  /** A client of a node's engine, as {@link engineOf} has it. */
  on(node: string): Promise<Docker> {
    return engineOf(this.#bed, node, ANSWER_TIMEOUT_MS);
  }

  /** A stack's containers on a node. @param all also those that do not run */
  async containers(node: string, stack: string, all = false): Promise<StackContainer[]> {
    const engine = await this.on(node);
    const found = await engine.listContainers({ all, filters: ofStack(stack) });
    return found.map(({ Id, Labels, State, Status }) => {
      // `<service>.<slot>.<id>`, or `<service>.<node's id>.<id>` for a global one
      const [service = '', slot = ''] = (Labels['com.docker.swarm.task.name'] ?? '').split('.');
      const taskId = Labels['com.docker.swarm.task.id'] ?? '';
      return { service, slot, node, containerId: Id, taskId, state: State, status: Status };
    });
  }

  /** Ids of a stack's tasks that Swarm wants to run. */
  async wantedTasks(stack: string): Promise<Set<string>> {
    const tasks = await this.#tasks({ ...ofStack(stack), 'desired-state': ['running'] });
    return new Set(tasks.map(({ ID }) => ID));
  }

  /** What has become of a service's tasks, the newest first; for people. @param service its whole name */
  async history(service: string): Promise<string[]> {
    const tasks = await this.#tasks({ service: [service] });
    const newestFirst = tasks.sort((a, b) => b.CreatedAt.localeCompare(a.CreatedAt));
    return newestFirst.map(({ ID, DesiredState, Status }) =>
      [`${ID} is ${Status.State}, wanted ${DesiredState}`, Status.Err].filter(Boolean).join(': '),
    );
  }

  /** Whether Swarm has a task of this id, running or not. */
  async knowsTask(id: string): Promise<boolean> {
    return (await this.#tasks({ id: [id] })).length > 0;
  }

  async #tasks(filters: Record<string, string[]>): Promise<SwarmTask[]> {
    return (await (await this.on('n1')).listTasks({ filters })) as SwarmTask[];
  }

  /** Whether a stack has services, and each has all its tasks. */
  async complete(stack: string): Promise<boolean> {
    const services = (await (
      await this.on('n1')
    ).listServices({
      filters: ofStack(stack),
      status: true,
    })) as { ServiceStatus?: { RunningTasks?: number; DesiredTasks?: number } }[];
    return (
      services.length > 0 &&
      services.every(({ ServiceStatus }) => (ServiceStatus?.RunningTasks ?? 0) === (ServiceStatus?.DesiredTasks ?? 0))
    );
  }

  /** Names of a stack's services and networks. */
  async named(stack: string): Promise<string[]> {
    const engine = await this.on('n1');
    const filters = ofStack(stack);
    const [services, networks] = await Promise.all([
      engine.listServices({ filters }),
      engine.listNetworks({ filters }),
    ]);
    return [
      ...services.map(({ Spec }) => `service ${Spec?.Name ?? ''}`),
      ...networks.map(({ Name }) => `network ${Name}`),
    ];
  }

  /** Runs a command in a container, as `docker exec` does; a failing one is no error. @throws what the engine says, if it cannot */
  async exec({ node, containerId }: RunningTask, argv: readonly string[]): Promise<ExecResult> {
    const container = (await this.on(node)).getContainer(containerId);
    const exec = await container.exec({ Cmd: [...argv], AttachStdout: true, AttachStderr: true });
    const both = await exec.start({});
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    (container.modem as Demultiplexer).demuxStream(both, stdout, stderr);
    const said = Promise.all([text(stdout), text(stderr)]);
    await finished(both, { writable: false }).finally(() => {
      stdout.end();
      stderr.end();
    });
    const [out, err] = await said;
    // Its output may end before the engine has noted that it has.
    const exitCode = await waitFor(
      `the end of ${argv.join(' ')}`,
      async () => {
        const { Running, ExitCode } = await exec.inspect();
        return !Running && ExitCode !== null && { ExitCode };
      },
      { timeoutMs: ANSWER_TIMEOUT_MS, intervalMs: 20 },
    );
    return { exitCode: exitCode.ExitCode, stdout: withoutEnd(out), stderr: withoutEnd(err), timedOut: false };
  }
}

/** Without the last line's end, as a shell has what a command says. */
function withoutEnd(said: string): string {
  return said.replace(/\r?\n$/, '');
}
