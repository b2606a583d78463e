import { describe, expect, it } from 'vitest';
import type { CoordinatorContext, OperationEvent } from '../../../../coordinator/operations/index.ts';
import { OldTasks } from '../../../../coordinator/operations/relocation/old-tasks.ts';
import { Relocation } from '../../../../coordinator/operations/relocation/relocation.ts';
import { relocate, type RelocationSteps } from '../../../../coordinator/operations/relocation/sequence.ts';
import type { ClusterSession } from '../../../../coordinator/operations/session/session.ts';
import { SwarmcutError } from '../../../../src/model/errors.ts';
import { pause } from '../../../../src/platform/deadlines.ts';
import type { AgentClient, CallSettings } from '../../../../src/rpc/index.ts';

const ID = 'r1';
const SNAPSHOT = 's1';
/** Old tasks by node: on n1 and n2; new ones on n3. */
const OLD = { n1: 'old-a', n2: 'old-b' } as const;

/** A cluster in which everything is written down; `broken` calls fail, those of agents that go `away` when it has begun, too. */
class Bed {
  readonly done: string[] = [];
  readonly told: string[] = [];
  readonly requests: { call: string; request: { servicesAreBack?: boolean } }[] = [];
  broken = '';
  away = '';
  ours = true;
  /** Calls of this name take longer than anybody waits. */
  slow = '';

  readonly ctx = {
    signal: new AbortController().signal,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    emit: (event: OperationEvent) => {
      if (event.kind === 'warning') this.told.push(event.message);
    },
  } as unknown as CoordinatorContext;

  readonly session = {
    nodes: [],
    signer: { sign: () => ({ certificate: '', signature: new Uint8Array() }) },
    agents: { of: (node: string) => this.agent(node) },
    cluster: {
      tasks: () =>
        Promise.resolve(
          ['a', 'b'].map((name) => ({
            service: `bank_${name}`,
            serviceId: name,
            slot: '1',
            taskId: `new-${name}`,
            generation: 2,
            wanted: true,
          })),
        ),
      startingTasks: (_stack: string, undone: ReadonlyMap<string, ReadonlySet<number>>) => {
        this.done.push('look at starting tasks');
        expect([...undone]).toEqual([['a', new Set([2])]]);
        // Swarm ends the first when it is asked for the second time.
        const open = this.done.filter((step) => step === 'look at starting tasks').length < 2;
        return Promise.resolve(open ? [{ taskId: 'new-a', text: '', node: 'n3', wanted: true }] : []);
      },
    },
  } as unknown as ClusterSession;

  readonly replacement = {
    services: [],
    generations: new Map([
      ['a', 2],
      ['b', 2],
    ]),
    made: new Map([['a', new Set([2])]]),
    begin: () => this.#step('begin'),
    adapt: () => Promise.resolve(),
    tellElsewhere: () => undefined,
    dropSpares: (tasks: readonly object[]) => this.#step(`drop spares of ${tasks.length}`).then(() => false),
    commit: () => this.#step('commit'),
    isOurs: () => Promise.resolve(this.ours),
    settle: () => this.#step('settle'),
    confirmed: () => Promise.resolve({ late: [], ended: [] }),
    undo: () =>
      this.#step('undo services').then(
        () => true,
        () => false,
      ),
    done: (told: boolean) => this.#step(told ? 'forget the journal' : 'note that agents are to be told'),
  };

  agent(node: string): AgentClient {
    const arrived = ['a', 'b'].map((name) => ({
      phase: 'ARRIVED',
      task: { service: `bank_${name}`, slot: '1', taskId: `new-${name}`, containerId: `c-${name}` },
    }));
    const call =
      (name: string) =>
      async (request: { containerId?: string; servicesAreBack?: boolean }, settings: CallSettings): Promise<object> => {
        this.requests.push({ call: name, request });
        if (name === this.slow) {
          settings.onProgress?.('3 of 1000 MB are here');
          await pause(600_000, settings.signal);
        }
        if (node === this.away && name !== 'keep') throw new SwarmcutError('unreachable', `${node} does not answer`);
        await this.#step(`${name} ${request.containerId ?? node}`);
        return { fetchedBytes: 1, wallMs: 2, restores: [] };
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
    const old = Object.entries(OLD).map(([node, containerId]) => ({
      key: node === 'n1' ? 'bank_a.1' : 'bank_b.1',
      containerId,
      agent: this.agent(node),
    }));
    const tasks = new OldTasks(this.ctx, ID, old);
    const relocation = new Relocation(this.ctx, this.session, ID, { agents: [this.agent('n3')], old: tasks });
    const keys = ['bank_a.1', 'bank_b.1'];
    const ref = { service: 'bank_a', slot: '1', taskId: '', containerId: '' };
    return relocate(this.ctx, relocation, this.replacement, {
      stack: 'bank',
      services: ['bank_a', 'bank_b'],
      keys,
      timeoutMs: 1_000,
      inMemory: false,
      stopOld: async () => {
        await (how === 'suspend' ? tasks.suspend(1_000) : tasks.takeOver(SNAPSHOT, 1_000));
        return keys.map((key) => ({ key, ref, parts: [], connections: [], node: 'n1' }));
      },
      plan: async () => {
        await this.#step('plan');
        return { plans: new Map<string, never>() };
      },
      rewrites: () => [{ key: 'bank_c.1', node: 'n3', containerId: 'c-c', rewrites: [], close: [], former: [] }],
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
          'prepareRetirement old-a',
          'drop spares of 2',
          'commit',
          'rewrite c-c',
          'releaseRestored c-a',
          'retire old-a',
          'settle',
          'endRestore n3',
          'forget the journal',
        ),
      ),
    ).toBe(true);
    expect(bed.done.join()).not.toMatch(/undo|resume|abort/);
  });

  it('has the word of every old task before the commit, and the commit on disk before any new one runs', async () => {
    const bed = new Bed();
    await bed.run('suspend');
    const released = Math.min(...bed.order('releaseRestored c-a', 'releaseRestored c-b'));
    for (const step of ['prepareRetirement old-a', 'prepareRetirement old-b'])
      expect(ascending([...bed.order(step, 'commit'), released])).toBe(true);
  });

  it('gives up what takes longer than the old tasks may stand still, and says how far it was', async () => {
    const bed = new Bed();
    bed.slow = 'stage';
    const error: unknown = await bed.run('take over').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'interrupted', advice: expect.stringContaining('freeze-timeout') as string });
    expect((error as Error).message).toMatch(
      /the old tasks run on: they have been standing still for 1 s, as long as they may; under way was: fetch bank_a\.1 on n3, after \S+ s: 3 of 1000 MB are here/,
    );
    expect(ascending(bed.order('takeOver old-a', 'resume n1', 'undo services', 'abortRestore n3'))).toBe(true);
  });

  it.each(['suspend old-b', 'stage c-b', 'plan', 'restore c-b', 'prepareRetirement old-b', 'commit'])(
    'lets the old tasks go first, then puts services back, then fails the new containers: %s fails',
    async (broken) => {
      const bed = new Bed();
      bed.broken = broken;
      await expect(bed.run('suspend')).rejects.toThrow(`${broken} is broken`);
      const undone = [
        'undo services',
        'look at starting tasks',
        'abortRestore n3',
        'forget the journal',
        'undo the rest',
      ];
      expect(ascending(bed.order('resume n1', ...undone))).toBe(true);
      expect(ascending(bed.order('resume n2', ...undone))).toBe(true);
      expect(bed.done.join()).not.toMatch(/releaseRestored|retire /);
      // Agents expect containers until Swarm has ended all new tasks: what comes later would start empty.
      expect(bed.done.lastIndexOf('look at starting tasks')).toBeGreaterThan(
        bed.done.indexOf('look at starting tasks'),
      );
      expect(bed.done.indexOf('abortRestore n3')).toBeGreaterThan(bed.done.lastIndexOf('look at starting tasks'));
    },
  );

  it.each(['restore c-b', 'commit'])(
    'undoes nothing when somebody else has the lock, or it is not known whether it is committed: %s fails',
    async (broken) => {
      const bed = new Bed();
      [bed.broken, bed.ours] = [broken, false];
      await expect(bed.run('suspend')).rejects.toThrow(`${broken} is broken`);
      expect(bed.done.join()).not.toMatch(/resume|undo|abort|forget|releaseRestored|retire /);
    },
  );

  it('leaves the old tasks alone when it fails before they were stopped', async () => {
    const bed = new Bed();
    bed.broken = 'begin';
    await expect(bed.run('suspend')).rejects.toThrow('begin is broken');
    expect(bed.done.join()).not.toMatch(/suspend/);
    // The engine's stops of them waited.
    expect(ascending(bed.order('keep old-a', 'begin', 'resume n1'))).toBe(true);
    expect(ascending(bed.order('undo services', 'abortRestore n3', 'undo the rest'))).toBe(true);
  });

  it('lets the tasks of all other nodes go when one agent is away, before anything else', async () => {
    const bed = new Bed();
    bed.away = 'n2';
    await expect(bed.run('suspend')).rejects.toMatchObject({ code: 'unreachable' });
    expect(ascending(bed.order('suspend old-a', 'resume n1', 'undo services'))).toBe(true);
    expect(bed.told.filter((text) => text.includes('node n2 could not be told to go on'))).toHaveLength(1);
  });

  it('keeps the journal when an agent could not be told: somebody has to', async () => {
    const bed = new Bed();
    bed.away = 'n2';
    await expect(bed.run('suspend')).rejects.toMatchObject({ code: 'unreachable' });
    expect(bed.done).toContain('note that agents are to be told');
  });

  it('takes over what a round has left frozen, and gives the round up when it fails', async () => {
    const bed = new Bed();
    bed.broken = 'takeOver old-b';
    await expect(bed.run('take over')).rejects.toThrow('takeOver old-b is broken');
    for (const node of ['n1', 'n2'])
      expect(ascending(bed.order(`resume ${node}`, 'undo services')) && bed.done.includes(`abort ${node}`)).toBe(true);
  });

  it('goes on expecting containers when a service cannot be put back: the journal stays', async () => {
    const bed = new Bed();
    bed.broken = 'undo services';
    bed.away = 'n2';
    await expect(bed.run('suspend')).rejects.toMatchObject({ code: 'unreachable' });
    expect(bed.requests.filter(({ call }) => call === 'abortRestore')).not.toEqual([]);
    expect(bed.requests.filter(({ request }) => request.servicesAreBack === true)).toEqual([]);
    expect(bed.done).not.toContain('forget the journal');
  });

  it('undoes nothing after the commit when a new one cannot be released: the journal stays, and its old task stands still', async () => {
    const bed = new Bed();
    bed.broken = 'releaseRestored c-b';
    await expect(bed.run('take over')).rejects.toThrow(/bank_b.1 on n3 \(releaseRestored c-b is broken\)/);
    expect(bed.done).toContain('releaseRestored c-a');
    expect(bed.done.join()).not.toMatch(/retire old-b|abortRestore|resume|undo|endRestore|forget the journal/);
  });

  it.each(['retire old-a', 'rewrite c-c', 'settle', 'endRestore n3', 'forget the journal'])(
    'is done all the same when only tidying up fails after the commit: %s',
    async (broken) => {
      const bed = new Bed();
      bed.broken = broken;
      await bed.run('suspend');
      expect(bed.done.join()).not.toMatch(/abortRestore|resume|undo/);
      expect(bed.done).toContain('retire old-b');
    },
  );
});
