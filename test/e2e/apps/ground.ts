/** One application on a bed: deployed, operated on, and asked after each operation what its client has seen. Free of vitest. */
import { waitFor } from '../../../examples/testbed/index.ts';
import { Stacks } from '../../../examples/demo/stacks.ts';
import type { ProgramStatus } from '../../../examples/demo/stacks.ts';
import type { Operation } from './catalogue.ts';

/** Longest time for traffic to go on after an operation. Milliseconds. */
const PATIENCE_MS = 120_000;
/** So many replies on each connection, or new connections, are seen after an operation. */
const GOES_ON = 8;

/** What `coordinator check STACK` finds. */
interface CheckedTask {
  readonly service: string;
  readonly error?: string;
  readonly obstacles: readonly { readonly kind: string; readonly effect: string; readonly command: string }[];
}

/** A client saw something that must not be. */
export class ClientFault extends Error {
  override readonly name = 'ClientFault';
}

/** One application's stack with one algorithm. */
export class AppGround {
  readonly stacks: Stacks;
  readonly app: string;
  readonly algorithm: string;
  readonly stack: string;
  /** The last snapshot of the stack that is there. */
  #snapshot: string | undefined;
  /** The service that migrates next. */
  #turn = 0;

  constructor(bed: string, app: string, algorithm: string) {
    this.stacks = new Stacks(bed);
    this.app = app;
    this.algorithm = algorithm;
    this.stack = `app-${app}-${algorithm === 'lai-yang' ? 'ly' : 'cl'}`;
  }

  /** Deploys it anew, and waits until every path of its client works. */
  async deploy(): Promise<void> {
    await this.remove();
    this.#snapshot = undefined;
    await this.stacks.deploy(`apps/${this.app}`, { stack: this.stack, algorithm: this.algorithm });
  }

  async remove(): Promise<void> {
    await this.stacks.remove(this.stack, { volumes: true });
  }

  client(): Promise<ProgramStatus> {
    return this.stacks.status(this.stack, 'client');
  }

  /** What `coordinator check STACK` says, a line each. */
  async check(): Promise<string[]> {
    const { result, error, stderr } = await this.stacks.coordinator<CheckedTask[]>(['check', this.stack]);
    if (result === undefined) return [error?.message ?? stderr];
    const lines = result.flatMap(({ service, error: failed, obstacles }) => [
      ...(failed === undefined ? [] : [`${service}: ${failed}`]),
      ...obstacles.map(({ kind, effect, command }) => `${service} (${command}): ${kind} (${effect})`),
    ]);
    return [...new Set(lines.map((line) => line.replace(`${this.stack}_`, '')))];
  }

  /** What a program of the application says of its version, the first line. */
  async version([service, ...argv]: readonly [string, ...string[]]): Promise<string> {
    const task = await this.stacks.task(this.stack, service);
    const { stdout, stderr } = await this.stacks.run(task.node, ['docker', 'exec', task.containerId, ...argv]);
    return /\d+(\.\d+)+/.exec(`${stdout}\n${stderr}`)?.[0] ?? '';
  }

  /** @throws Error if the operation fails; ClientFault if it did not, but the client saw something */
  async operate(operation: Operation): Promise<ProgramStatus> {
    await this.#carryOut(operation);
    return this.#expectGoesOn();
  }

  async #carryOut(operation: Operation): Promise<void> {
    switch (operation) {
      case 'snapshot': {
        const before = this.#snapshot;
        const { id } = await this.stacks.coordinate<{ id: string }>(['snapshot', this.stack]);
        this.#snapshot = id;
        if (before !== undefined) await this.stacks.coordinator(['rm', before]);
        return;
      }
      case 'rollback':
        return this.#restore((node) => node);
      case 'elsewhere': {
        const nodes = await this.#nodes();
        await this.stacks.remove(this.stack, { volumes: true });
        return this.#restore((node) => this.#next(node), nodes);
      }
      case 'migration': {
        const nodes = await this.#nodes();
        const services = [...nodes.keys()];
        const service = services[this.#turn++ % services.length] ?? '';
        const home = nodes.get(service) ?? '';
        await this.stacks.coordinate(['migrate', service, '--to', this.#next(home)]);
        await this.#expectGoesOn();
        await this.stacks.coordinate(['migrate', service, '--to', home]);
      }
    }
  }

  async #restore(target: (node: string) => string, nodes?: ReadonlyMap<string, string>): Promise<void> {
    const from = nodes ?? (await this.#nodes());
    const id = this.#snapshot ?? '';
    const places = [...from].flatMap(([service, node]) => ['--to', `${service}=${target(node)}`]);
    await this.stacks.coordinate(['restore', id, ...places]);
  }

  /** Node of each service; every one has one task. */
  async #nodes(): Promise<Map<string, string>> {
    return new Map((await this.stacks.tasks(this.stack)).map(({ service, node }) => [service, node]));
  }

  #next(node: string): string {
    const { nodes } = this.stacks;
    return nodes[(nodes.indexOf(node) + 1) % nodes.length] ?? node;
  }

  /** Waits until every path of the client has got on. @throws ClientFault with what it saw */
  async #expectGoesOn(): Promise<ProgramStatus> {
    const before = await this.client();
    let last = before;
    await waitFor(
      `traffic of ${this.stack} after ${JSON.stringify(before.counts)}`,
      async () => {
        last = await this.client();
        if (last.errors > 0) return true;
        return Object.entries(last.counts).every(([path, n]) => n >= (before.counts[path] ?? 0) + GOES_ON);
      },
      { timeoutMs: PATIENCE_MS },
    ).catch((error: unknown) => {
      throw new ClientFault(`no traffic: ${String(error)}; ${JSON.stringify(last.counts)}`);
    });
    if (last.errors > 0 || last.reconnects > 0)
      throw new ClientFault(
        `${last.errors} errors, ${last.reconnects} reconnects: ${last.errorList.slice(0, 3).join('; ')}`,
      );
    return last;
  }
}
