/** Stacks on a test bed, as a user handles them: `docker` and `coordinator` run inside the hosts. For demo, bench and end-to-end tests. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import { execOn, waitFor } from '../testbed/index.ts';
import type { BedOptions, ExecOptions, ExecResult } from '../testbed/index.ts';
import { projectDir } from '../testbed/layout.ts';
import { Engines } from './engines.ts';
import type { RunningTask } from './engines.ts';

export type { RunningTask };

/** Longest time for a stack to come up or to go, milliseconds; 2-12 s were seen, and more on a busy machine. */
const STACK_TIMEOUT_MS = 180_000;

/** Longest time for one command of ours, milliseconds. It has limits of its own. */
const COMMAND_TIMEOUT_MS = 300_000;

/** As much of a compose file as the users of this file change. */
export interface ComposeService {
  image?: string;
  command?: string[];
  environment?: Record<string, string>;
  volumes?: (string | Record<string, unknown>)[];
  networks?: string[];
  ports?: Record<string, unknown>[];
  /** The container's. */
  labels?: Record<string, string>;
  deploy: {
    replicas?: number;
    labels?: Record<string, string>;
    placement?: { constraints?: string[] };
    [key: string]: unknown;
  };
  [key: string]: unknown;
}

/** A compose file, parsed. */
export interface Compose {
  services: Record<string, ComposeService>;
  [key: string]: unknown;
}

/** A change for {@link Stacks.deploy}: each task of the bank begins so many transfers a second. 0: as many as it can. */
export function bankRate(transfersPerS: number): (compose: Compose) => void {
  return ({ services }) => {
    for (const service of Object.values(services))
      service.environment = { ...service.environment, BANK_RATE: String(transfersPerS) };
  };
}

/** What `coordinator … --json` answered. */
export interface CoordinatorAnswer<T> {
  readonly exitCode: number;
  /** Standard output, parsed; undefined if there was none. */
  readonly result: T | undefined;
  /** The error object on standard error. */
  readonly error: CoordinatorError | undefined;
  readonly stderr: string;
}

export interface CoordinatorError {
  readonly code: string;
  readonly exitCode: number;
  readonly message: string;
  readonly where: Readonly<Record<string, string>>;
  readonly why?: string;
  readonly advice?: string;
}

/** `check.js --json` of examples/bank. */
export interface BankCheck {
  readonly exitCode: number;
  readonly ok: boolean;
  readonly total: number;
  readonly accounts: number;
  readonly transfers: number;
  readonly missing: number;
  readonly duplicate: number;
  readonly violations: readonly string[];
  readonly unreachable?: string;
  /** The whole answer, for `--not-before`. */
  readonly text: string;
}

/** Status of examples/pair, examples/redis and the clients of examples/apps (docs/examples.md); only what is used. */
export interface ProgramStatus {
  readonly role: string;
  readonly atMs: number;
  readonly n: number;
  readonly errors: number;
  readonly errorList: readonly string[];
  readonly worstGapMs: number;
  readonly worstWallGapMs: number;
  readonly resetMs: number;
  readonly connectedSinceMs: number | null;
  readonly reconnects: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** A command failed that must not. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

/** A folder of examples with a compose file. */
export type Example = 'bank' | 'pair' | 'redis' | `apps/${string}`;

/** One bed and its stacks. */
export class Stacks {
  readonly bed: BedOptions;
  readonly nodes: readonly string[];
  readonly engines: Engines;

  constructor(bed: string, nodes: readonly string[] = ['n1', 'n2', 'n3']) {
    this.bed = { name: bed };
    this.engines = new Engines(bed);
    this.nodes = nodes;
  }

  /** Runs a command on a node; a failing one is no error. */
  run(node: string, argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return execOn(this.bed, node, argv, { timeoutMs: COMMAND_TIMEOUT_MS, ...options });
  }

  /** Runs a command on a node that must succeed. @returns its standard output. @throws CommandFailed with what it said */
  async must(node: string, argv: readonly string[], options: ExecOptions = {}): Promise<string> {
    return outputOf(`${argv.join(' ')} on ${node}`, await this.run(node, argv, options));
  }

  /**
   * Deploys an example and waits until all its tasks run and say that they work.
   * @param change edits the compose file before it is deployed
   */
  async deploy(
    example: Example,
    options: {
      readonly stack?: string;
      /** Declared by all services, whatever the file says. */
      readonly algorithm?: string;
      readonly change?: (compose: Compose) => void;
      /** The client has several replicas: then only one of them is asked whether it works. */
      readonly slots?: boolean;
    } = {},
  ): Promise<void> {
    const stack = options.stack ?? path.basename(example);
    const compose = await readCompose(example);
    if (options.algorithm !== undefined) declare(compose, options.algorithm);
    options.change?.(compose);
    await this.deployCompose(stack, compose);
    await waitFor(`traffic of ${stack}`, () => this.works(example, stack, options.slots === true ? '1' : undefined), {
      timeoutMs: STACK_TIMEOUT_MS,
    });
  }

  /** Deploys a compose file and waits until all its tasks run. Nothing in it is taken for a variable. */
  async deployCompose(stack: string, compose: Compose): Promise<void> {
    await this.must('n1', ['docker', 'stack', 'deploy', '--resolve-image', 'never', '-c', '-', stack], {
      // What is a variable was resolved when the file was read, or is meant for the container's shell.
      input: JSON.stringify(compose).replaceAll('$', '$$$$'),
    });
    await this.waitForReplicas(stack);
  }

  /** Waits until every service of the stack has all its replicas. */
  async waitForReplicas(stack: string): Promise<void> {
    await waitFor(`all tasks of ${stack}`, () => this.engines.complete(stack), {
      timeoutMs: STACK_TIMEOUT_MS,
      hint: `docker stack ps ${stack}`,
    });
  }

  /** Whether an example has traffic and no errors. */
  async works(example: Example, stack: string = path.basename(example), slot?: string): Promise<boolean> {
    if (example === 'bank') {
      const status = await this.checkBank(stack, ['--status', '--timeout', '5000']);
      return status.ok && status.transfers > 0;
    }
    const status = await this.status(stack, 'client', slot);
    return status.n > 0 && status.errors === 0 && status.connectedSinceMs !== null;
  }

  /** The running containers of a stack that Swarm wants to run, by service and slot: old ones may take a while to end. */
  async tasks(stack: string): Promise<RunningTask[]> {
    const [wanted, ...perNode] = await Promise.all([
      this.engines.wantedTasks(stack),
      ...this.nodes.map((node) => this.engines.containers(node, stack)),
    ]);
    return perNode
      .flat()
      .filter(({ taskId }) => wanted.has(taskId))
      .map(({ service, slot, node, containerId }) => ({ service, slot, node, containerId }))
      .sort((a, b) => `${a.service}.${a.slot}`.localeCompare(`${b.service}.${b.slot}`));
  }

  /** The one running task of a service, given without the stack's name. @throws CommandFailed if there is none or several */
  async task(stack: string, service: string, slot?: string): Promise<RunningTask> {
    const all = (await this.tasks(stack)).filter(
      (task) => task.service === `${stack}_${service}` && (slot === undefined || task.slot === slot),
    );
    const [first] = all;
    if (first === undefined || all.length > 1) {
      const history = await this.engines.history(`${stack}_${service}`).catch(() => []);
      throw new CommandFailed(`${stack}_${service} has ${all.length} running tasks, not 1: ${history.join('; ')}`);
    }
    return first;
  }

  /** Runs a command in a task's container that must succeed. */
  async inTask(task: RunningTask, argv: readonly string[]): Promise<string> {
    const { service, slot, node } = task;
    return outputOf(`${argv.join(' ')} in ${service}.${slot} on ${node}`, await this.engines.exec(task, argv));
  }

  /** Removes a stack and waits until its tasks, networks and names are gone. */
  async remove(stack: string, options: { readonly volumes?: boolean } = {}): Promise<void> {
    await this.run('n1', ['docker', 'stack', 'rm', stack]);
    await waitFor(
      `the end of ${stack}`,
      async () => {
        const left = await this.leftOf(stack);
        if (left.length > 0 && left.every((one) => one.startsWith('container '))) await this.removeForgotten(stack);
        if (left.length > 0) throw new Error(`there is still ${left.join(', ')}`);
        return true;
      },
      { timeoutMs: STACK_TIMEOUT_MS },
    );
    if (options.volumes !== true) return;
    await Promise.all(
      this.nodes.map(async (node) => {
        const names = await this.must(node, ['docker', 'volume', 'ls', '-q', '-f', `name=${stack}_`]);
        if (names !== '') await this.must(node, ['docker', 'volume', 'rm', '-f', ...names.split('\n')]);
      }),
    );
  }

  /**
   * Removes a removed stack's containers that have ended. Swarm leaves those whose task it forgot (it keeps five per slot) while their node was away: its
   * agent there is never told of them.
   */
  private async removeForgotten(stack: string): Promise<void> {
    for (const node of this.nodes)
      for (const { containerId, taskId, state } of await this.engines.containers(node, stack, true)) {
        if (state !== 'exited' || taskId === '' || (await this.engines.knowsTask(taskId))) continue;
        // Its own engine may be about to remove it.
        await this.run(node, ['docker', 'rm', containerId]);
      }
  }

  /** Containers, services and networks that still bear the stack's name. */
  private async leftOf(stack: string): Promise<string[]> {
    const containers = await Promise.all(this.nodes.map((node) => this.engines.containers(node, stack, true)));
    return [
      ...(await this.engines.named(stack)),
      ...containers
        .flat()
        .map(({ service, slot, node, status }) => `container ${service}.${slot} on ${node} (${status})`),
    ];
  }

  /** Runs the coordinator on the manager with `--json`. A failing command is no error. */
  async coordinator<T = unknown>(args: readonly string[], options: ExecOptions = {}): Promise<CoordinatorAnswer<T>> {
    const result = await this.run('n1', ['coordinator', ...args, '--json'], options);
    return {
      exitCode: result.exitCode,
      result: result.stdout === '' ? undefined : (JSON.parse(result.stdout) as T),
      error: readError(result.stderr),
      stderr: result.stderr,
    };
  }

  /** Runs the coordinator, which must succeed. @throws CommandFailed with its error */
  async coordinate<T = unknown>(args: readonly string[], options: ExecOptions = {}): Promise<T> {
    const { exitCode, result, error, stderr } = await this.coordinator<T>(args, options);
    if (exitCode === 0 && result !== undefined) return result;
    const what =
      error === undefined
        ? stderr
        : [error.message, JSON.stringify(error.where), error.why, error.advice].filter(Boolean).join(' | ');
    throw new CommandFailed(`coordinator ${args.join(' ')}: exit code ${exitCode}: ${what}`);
  }

  /** Runs the bank's checker in its first running task. @param args e.g. `--status`; the default is a full audit */
  async checkBank(
    stack = 'bank',
    args: readonly string[] = [],
    options: { readonly notBefore?: BankCheck; readonly task?: RunningTask } = {},
  ): Promise<BankCheck> {
    const task = options.task ?? (await this.tasks(stack))[0];
    if (task === undefined) throw new CommandFailed(`stack ${stack} has no running task`);
    const program = ['node', '/app/examples/bank/check.js', '--json', ...args];
    const result =
      options.notBefore === undefined
        ? await this.engines.exec(task, program)
        : await this.run(
            task.node,
            ['docker', 'exec', '-i', task.containerId, ...program, '--not-before', '/dev/stdin'],
            { input: options.notBefore.text },
          );
    if (result.stdout === '') throw new CommandFailed(`the checker said nothing: ${result.stderr}`);
    const answer = JSON.parse(result.stdout) as Partial<BankCheck> & Omit<BankCheck, 'violations'>;
    return { ...answer, violations: answer.violations ?? [], exitCode: result.exitCode, text: result.stdout };
  }

  /** The status that a program of pair or redis shows in its file. */
  async status(stack: string, service: string, slot?: string): Promise<ProgramStatus> {
    const task = await this.task(stack, service, slot);
    return JSON.parse(await this.inTask(task, ['cat', '/tmp/status.json'])) as ProgramStatus;
  }

  /** Starts the worst gap anew. */
  async resetGaps(task: RunningTask): Promise<void> {
    await this.inTask(task, ['busybox', 'wget', '-qO-', 'http://127.0.0.1:8080/reset']);
  }
}

/** What a command said that must succeed. @param what for the error */
function outputOf(what: string, { exitCode, stdout, stderr }: ExecResult): string {
  if (exitCode === 0) return stdout;
  const said = [stderr, stdout].filter((text) => text !== '').join('\n');
  throw new CommandFailed(`${what}: exit code ${exitCode}: ${said}`);
}

/** An example's compose file, anchors and merge keys resolved. */
async function readCompose(example: string): Promise<Compose> {
  const file = path.join(projectDir(), 'examples', example, 'compose.yaml');
  const compose = parse(await readFile(file, 'utf8'), { merge: true }) as Compose;
  // Anchors make services share objects: a change to one must not reach the others.
  return JSON.parse(JSON.stringify(compose)) as Compose;
}

function readError(stderr: string): CoordinatorError | undefined {
  for (const line of stderr.split('\n').reverse()) {
    try {
      const parsed = JSON.parse(line) as { error?: CoordinatorError };
      if (parsed.error !== undefined) return parsed.error;
    } catch {
      // A warning of node's, or the like.
    }
  }
  return undefined;
}

/** A container label, not one of the service: only that is seen where a container starts (docs/algorithms.md). */
function declare(compose: Compose, algorithm: string): void {
  for (const service of Object.values(compose.services)) {
    service.labels = { ...service.labels, 'swarmcut.algorithm': algorithm };
    delete service.deploy.labels?.['swarmcut.algorithm'];
  }
}
