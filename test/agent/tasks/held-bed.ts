import type { Deadman, DeadmanOptions } from '../../../agent/runtime/criu/deadman.ts';
import { HeldTasks } from '../../../agent/tasks/held-tasks.ts';
import { relocation, round, type Holder, type Keeper } from '../../../agent/tasks/holder.ts';
import type { HeldTask, TaskState } from '../../../agent/tasks/held-task.ts';
import type { HealthCheck } from '../../../agent/runtime/docker/health.ts';
import type { Standstill } from '../../../agent/runtime/shim/standstills.ts';
import type { OpenedTask } from '../../../agent/tasks/open-task.ts';
import type { TaskInterceptor } from '../../../agent/network/task-interceptor.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';

export const CONTAINER = 'c1';
export const ROUND = round('s1');
export const RESTORE = relocation('r1');
export const OTHER = relocation('r2');

export class FakeDeadman implements Deadman {
  readonly containerId: string;
  readonly firesAtMs = Date.now() + 600_000;
  readonly afterMs: number;
  hasFired = false;
  readonly #bed: HeldBed;

  constructor(bed: HeldBed, { containerId, afterMs }: Pick<DeadmanOptions, 'containerId' | 'afterMs'>) {
    this.#bed = bed;
    this.containerId = containerId;
    this.afterMs = afterMs;
    bed.armed.add(this);
  }

  fired(): Promise<boolean> {
    return Promise.resolve(this.hasFired);
  }

  cancel(): Promise<{ fired: boolean }> {
    this.#bed.armed.delete(this);
    return Promise.resolve({ fired: this.hasFired });
  }

  rearm(afterMs: number): Promise<Deadman> {
    this.#bed.armed.delete(this);
    if (this.hasFired) return Promise.reject(new SwarmcutError('interrupted', 'it has fired'));
    return Promise.resolve(new FakeDeadman(this.#bed, { containerId: this.containerId, afterMs }));
  }
}

/** The owner of held tasks over containers that are only written down. */
export class HeldBed {
  /** Everything that was done, in order. */
  readonly done: string[] = [];
  readonly frozen = new Set<string>();
  readonly blocked = new Set<string>();
  readonly moved = new Set<string>();
  /** Container and owner. */
  readonly journal = new Map<string, string>();
  /** What the shim is told. */
  readonly standstills = new Map<string, Standstill>();
  /** Those of which the journal says that a restarted agent must not let them go, with what it says of their health checks. */
  readonly inDoubt = new Map<string, HealthCheck | undefined>();
  readonly armed = new Set<FakeDeadman>();
  readonly errors: string[] = [];
  /** Steps that fail, and steps that wait for something first. */
  readonly broken = new Map<string, Error>();
  readonly before = new Map<string, () => Promise<void>>();
  /** Of every container. */
  health: HealthCheck | undefined;
  /** Of every container: by default there is no such process, so that nothing of this machine is looked at. */
  pid = 2 ** 30;
  readonly held: HeldTasks;

  constructor() {
    this.held = new HeldTasks({
      open: (containerId) => this.#step('open').then(() => this.container(containerId)),
      connections: () =>
        Promise.resolve({ prod: () => void this.done.push('prod'), push: () => void this.done.push('push') }),
      arm: ({ containerId, afterMs }) =>
        this.#step(containerId.endsWith('-moved') ? 'arm execution' : 'arm').then(
          () => new FakeDeadman(this, { containerId, afterMs }),
        ),
      journal: {
        note: async ({ containerId, owner, inDoubt, health }) => {
          await this.#step('note');
          this.journal.set(containerId, owner);
          if (inDoubt === true) this.inDoubt.set(containerId, health);
        },
        forget: (id) => this.#step('forget').then(() => void this.journal.delete(id)),
      },
      standstills: {
        mark: (standstill) => void this.standstills.set(standstill.containerId, standstill),
        unmark: (id) => void this.standstills.delete(id),
      },
      expectations: {
        markMoved: (id) => void this.moved.add(id),
        unmarkMoved: (id) => void this.moved.delete(id),
      },
      sidecars: {
        block: () => this.#step('block sidecar'),
        release: () => this.#step('release sidecar'),
        end: () => this.#step('end sidecar'),
      },
      log: { error: (_: unknown, text: string) => void this.errors.push(text), warn: () => undefined } as never,
    });
  }

  container(containerId: string): OpenedTask {
    const block = (): void => void this.blocked.add(containerId);
    const open = (): void => void this.blocked.delete(containerId);
    const interceptor: TaskInterceptor = {
      netns: '',
      prepare: () => this.#step('prepare'),
      block: () => this.#step('block').then(block),
      renewBlock: () => this.#step('renew block').then(block),
      advance: () => this.#step('advance').then(open),
      unblock: () => this.#step('unblock').then(open),
      openRestored: () => Promise.resolve(),
      detach: () => this.#step('detach').then(open),
      undoCommands: () => [],
    };
    const runc = {
      pause: () => this.#step('freeze').then(() => void this.frozen.add(containerId)),
      resume: () => this.#step('thaw').then(() => void this.frozen.delete(containerId)),
      command: (...args: readonly string[]) => [...args],
    };
    return { containerId, pid: this.pid, interceptor, runc, health: this.health };
  }

  /** A task that a round has taken and brought to this state. */
  async roundTask(state: TaskState, keeper: Partial<Keeper> = {}, holder: Holder = ROUND): Promise<HeldTask> {
    const made: { task?: HeldTask } = {};
    const task = await this.held.take(holder, this.container(CONTAINER), {
      letGo: async () => {
        await made.task?.unblock();
        await made.task?.thaw();
      },
      ...keeper,
    });
    made.task = task;
    if (state !== 'running') await task.block(10_000);
    if (state === 'frozen' || state === 'moved') await task.freeze();
    if (state === 'moved') await task.retire();
    return task;
  }

  /** What is left of everything, for comparisons. */
  get left(): object {
    const { frozen, blocked, moved, journal, armed, standstills } = this;
    const switches = [...armed].map(({ containerId }) => containerId);
    return {
      frozen: [...frozen],
      blocked: [...blocked],
      moved: [...moved],
      journal: [...journal],
      switches,
      still: [...standstills.values()].map(({ decided }) => (decided ? 'decided' : 'undecided')),
    };
  }

  async #step(name: string): Promise<void> {
    await this.before.get(name)?.();
    this.done.push(name);
    const error = this.broken.get(name);
    if (error !== undefined) throw error;
  }
}

/** Nothing was done, or all was undone. */
export const NOTHING_LEFT = { frozen: [], blocked: [], moved: [], journal: [], switches: [], still: [] };
