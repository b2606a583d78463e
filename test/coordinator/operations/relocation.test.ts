import { describe, expect, it } from 'vitest';
import type { CoordinatorContext, OperationEvent } from '../../../coordinator/operations/index.ts';
import { OldTasks } from '../../../coordinator/operations/relocation/old-tasks.ts';
import { Relocation } from '../../../coordinator/operations/relocation/relocation.ts';
import { relocate, type RelocationSteps } from '../../../coordinator/operations/relocation/sequence.ts';
import type { ClusterSession } from '../../../coordinator/operations/session/session.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import type { AgentClient } from '../../../src/rpc/index.ts';

const ID = 'r1';
const SNAPSHOT = 's1';
/** Old tasks by node: on n1 and n2; new ones on n3. */
const OLD = { n1: 'old-a', n2: 'old-b' } as const;

/** A cluster in which everything is written down; `broken` calls fail, those of `away` agents too. */
class Bed {
  readonly done: string[] = [];
  readonly told: string[] = [];
  broken = '';
  away = '';

  readonly ctx = {
    signal: new AbortController().signal,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    emit: (event: OperationEvent) => {
      if (event.kind === 'warning') this.told.push(event.message);
    },
  } as unknown as CoordinatorContext;

  readonly session = {
    nodes: [],
    cluster: {
      tasks: () =>
        Promise.resolve(
          ['a', 'b'].map((name) => ({
            service: `bank_${name}`,
            serviceId: name,
            slot: '1',
            taskId: `new-${name}`,
            generation: 2,
          })),
        ),
    },
  } as unknown as ClusterSession;

  readonly replacement = {
    services: [],
    generations: new Map([
      ['a', 2],
      ['b', 2],
    ]),
    begin: () => this.#step('begin'),
    releasing: () => this.#step('note the release'),
    settle: () => this.#step('settle'),
    undo: () => this.#step('undo services'),
  };

  agent(node: string): AgentClient {
    const arrived = ['a', 'b'].map((name) => ({
      phase: 'ARRIVED',
      task: { service: `bank_${name}`, slot: '1', taskId: `new-${name}`, containerId: `c-${name}` },
    }));
    const call =
      (name: string) =>
      async (request: { containerId?: string }): Promise<object> => {
        if (node === this.away) throw new SwarmcutError('unreachable', `${node} does not answer`);
        await this.#step(`${name} ${request.containerId ?? node}`);
        return { fetchedBytes: 1, wallMs: 2 };
      };
    const watch = async function* (_: unknown, { signal }: { signal: AbortSignal }) {
      if (node === 'n3') yield* arrived;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    };
    return new Proxy({} as AgentClient, {
      get: (_, name) => (name === 'node' ? node : name === 'watchRestore' ? watch : call(String(name))),
    });
  }

  /** @param how the old tasks are stopped */
  async run(
    how: 'suspend' | 'take over',
    changes: Partial<RelocationSteps<{ plans: ReadonlyMap<string, never> }>> = {},
  ) {
    const old = Object.entries(OLD).map(([node, containerId]) => ({ key: node, containerId, agent: this.agent(node) }));
    const tasks = new OldTasks(this.ctx, ID, old);
    const relocation = new Relocation(this.ctx, this.session, ID, { agents: [this.agent('n3')], old: tasks });
    const keys = ['bank_a.1', 'bank_b.1'];
    const ref = { service: 'bank_a', slot: '1', taskId: '', containerId: '' };
    return relocate(relocation, this.replacement, {
      services: ['bank_a', 'bank_b'],
      keys,
      timeoutMs: 1_000,
      inMemory: false,
      stopOld: async () => {
        await (how === 'suspend' ? tasks.suspend(1_000) : tasks.takeOver(SNAPSHOT));
        return keys.map((key) => ({ key, ref, parts: [], connections: [], node: 'n1' }));
      },
      plan: async () => {
        await this.#step('plan');
        return { plans: new Map<string, never>() };
      },
      tellOthers: () => this.#step('tell others'),
      undo: () => this.#step('undo the rest'),
      ...changes,
    });
  }

  /** Positions of steps, in order, for comparisons. */
  order(...steps: readonly string[]): number[] {
    return steps.map((step) => this.done.indexOf(step));
  }

  async #step(name: string): Promise<void> {
    this.done.push(name);
    await Promise.resolve();
    if (name === this.broken) throw new SwarmcutError('failed', `${name} is broken`);
  }
}

function ascending(positions: readonly number[]): boolean {
  return positions.every((position, i) => position >= 0 && position >= (positions[i - 1] ?? 0));
}

describe('a relocation', () => {
  it('stops the old tasks when the new ones wait, and ends them only when those run', async () => {
    const bed = new Bed();
    const { fetched, restored } = await bed.run('suspend');
    expect([fetched.get('bank_a.1'), restored.get('bank_b.1')]).toEqual([1, 2]);
    expect(
      ascending(
        bed.order(
          'expect n3',
          'begin',
          'suspend old-a',
          'stage c-a',
          'restore c-a',
          'tell others',
          'prepareRetirement old-a',
          'releaseRestored c-a',
          'retire old-a',
          'settle',
          'endRestore n3',
        ),
      ),
    ).toBe(true);
    expect(bed.done.join()).not.toMatch(/undo|resume|abort/);
  });

  it('notes the release, and has the word of every old task, before any new one runs', async () => {
    const bed = new Bed();
    await bed.run('suspend');
    const released = Math.min(...bed.order('releaseRestored c-a', 'releaseRestored c-b'));
    for (const step of ['note the release', 'prepareRetirement old-a', 'prepareRetirement old-b'])
      expect(bed.done.indexOf(step)).toBeLessThan(released);
  });

  it.each(['suspend old-b', 'stage c-b', 'plan', 'restore c-b', 'tell others', 'prepareRetirement old-b'])(
    'lets the old tasks go first, then puts services back, then fails the new containers: %s fails',
    async (broken) => {
      const bed = new Bed();
      bed.broken = broken;
      await expect(bed.run('suspend')).rejects.toThrow(`${broken} is broken`);
      const undone = ['undo services', 'abortRestore n3', 'undo the rest', 'endRestore n3'];
      expect(ascending(bed.order('resume n1', ...undone))).toBe(true);
      expect(ascending(bed.order('resume n2', ...undone))).toBe(true);
      expect(bed.done.join()).not.toMatch(/releaseRestored|retire /);
    },
  );

  it('leaves the old tasks alone when it fails before they were stopped', async () => {
    const bed = new Bed();
    bed.broken = 'begin';
    await expect(bed.run('suspend')).rejects.toThrow('begin is broken');
    expect(bed.done.join()).not.toMatch(/suspend|resume/);
    expect(ascending(bed.order('undo services', 'abortRestore n3', 'undo the rest'))).toBe(true);
  });

  it('lets the tasks of all other nodes go when one agent is away, before anything else', async () => {
    const bed = new Bed();
    bed.away = 'n2';
    await expect(bed.run('suspend')).rejects.toMatchObject({ code: 'unreachable' });
    expect(ascending(bed.order('suspend old-a', 'resume n1', 'undo services'))).toBe(true);
    expect(bed.told.filter((text) => text.includes('node n2 could not be told to go on'))).toHaveLength(1);
  });

  it('takes over what a round has left frozen, and gives the round up when it fails', async () => {
    const bed = new Bed();
    bed.broken = 'takeOver old-b';
    await expect(bed.run('take over')).rejects.toThrow('takeOver old-b is broken');
    for (const node of ['n1', 'n2'])
      expect(ascending(bed.order(`resume ${node}`, 'undo services')) && bed.done.includes(`abort ${node}`)).toBe(true);
  });

  it('ends no old task when a new one cannot be released', async () => {
    const bed = new Bed();
    bed.broken = 'releaseRestored c-b';
    await expect(bed.run('take over')).rejects.toThrow('releaseRestored c-b is broken');
    expect(bed.done.join()).not.toMatch(/retire |abortRestore/);
  });
});
