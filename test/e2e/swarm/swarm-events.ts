/**
 * Ordinary things that happen in a Swarm, made to happen on a bed: whatever people and nodes do while stacks are snapshotted, restored and moved. One
 * table for the test of them (swarm/events.test.ts) and for whoever wants some at random.
 */
import type { Stacks } from '../../../examples/demo/stacks.ts';

/** Whom an event hits. */
export interface EventTarget {
  readonly stacks: Stacks;
  /** A service, with its stack's name. */
  readonly service: string;
  /** The node of one of its tasks. */
  readonly node: string;
}

export interface SwarmEvent {
  readonly name: string;
  /**
   * What Swarm does with the service's tasks because of it if nobody works on them: lets them be, or ends and replaces them. `moves`: with empty ones on
   * other nodes, too.
   */
  readonly effect: 'none' | 'replaces' | 'moves';
  /** Begins it, and ends it if it has an end: Swarm is as before then. Resolves early when the signal says so. */
  run(target: EventTarget, signal: AbortSignal): Promise<void>;
}

let count = 0;

/** Unlike any before. */
function fresh(): string {
  return `${Date.now()}${++count}`;
}

function docker({ stacks }: EventTarget, ...args: string[]): Promise<string> {
  return stacks.must('n1', ['docker', ...args]);
}

/** Swarm refuses the second of two updates at once; people repeat it. */
async function update(target: EventTarget, ...args: string[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await docker(target, ...args);
      return;
    } catch (error) {
      if (attempt >= 5 || !String(error).includes('update out of sequence')) throw error;
    }
  }
}

function updateService(target: EventTarget, ...options: string[]): Promise<void> {
  return update(target, 'service', 'update', '-q', '-d', ...options, target.service);
}

async function pauseUnlessOver(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

/** Longest time for which a node misses its heartbeats (of 5 s each) without being called down. Milliseconds. */
const HEARTBEATS_MISSED_MS = 7_000;

export const SWARM_EVENTS: readonly SwarmEvent[] = [
  {
    name: 'a label of the node',
    effect: 'none',
    run: (target) => update(target, 'node', 'update', '--label-add', `event=${fresh()}`, target.node),
  },
  {
    name: 'an overlay network is made and removed',
    effect: 'none',
    run: async (target) => {
      const name = `event-${fresh()}`;
      await docker(target, 'network', 'create', '-d', 'overlay', name);
      await docker(target, 'network', 'rm', name);
    },
  },
  {
    name: 'another stack is deployed and removed',
    effect: 'none',
    run: async (target) => {
      const stack = `event${fresh()}`;
      const compose = {
        services: {
          idle: {
            image: 'swarmcut/examples:latest',
            command: ['sleep', '3600'],
            networks: ['net'],
            stop_grace_period: '1s',
            deploy: { mode: 'global', endpoint_mode: 'dnsrr' },
          },
        },
        networks: { net: { driver: 'overlay' } },
      };
      const input = JSON.stringify(compose);
      await target.stacks.must('n1', ['docker', 'stack', 'deploy', '--resolve-image', 'never', '-c', '-', stack], {
        input,
      });
      await target.stacks.remove(stack);
    },
  },
  {
    name: 'the node misses heartbeats',
    effect: 'none',
    run: async (target, signal) => {
      const { stacks, node } = target;
      // The worker's session with its manager, and nothing else.
      await stacks.must(node, [
        'sh',
        '-c',
        'nft add table inet event && nft add chain inet event out "{ type filter hook output priority 0; }" && nft add rule inet event out tcp dport 2377 drop',
      ]);
      try {
        await pauseUnlessOver(HEARTBEATS_MISSED_MS, signal);
      } finally {
        await stacks.must(node, ['nft', 'delete', 'table', 'inet', 'event']);
      }
    },
  },
  {
    name: 'a label of the service',
    effect: 'none',
    run: (target) => updateService(target, '--label-add', `event=${fresh()}`),
  },
  {
    name: 'more replicas',
    effect: 'none',
    run: async (target) => {
      const replicas = await docker(
        target,
        'service',
        'inspect',
        '-f',
        '{{.Spec.Mode.Replicated.Replicas}}',
        target.service,
      );
      await update(target, 'service', 'scale', '-d', `${target.service}=${Number(replicas) + 1}`);
    },
  },
  {
    name: 'an update by force',
    effect: 'replaces',
    run: (target) => updateService(target, '--force'),
  },
  {
    name: 'another memory limit',
    effect: 'replaces',
    run: (target) => updateService(target, '--limit-memory', `${512 + (count++ % 100)}M`),
  },
  {
    name: 'another environment',
    effect: 'replaces',
    run: (target) => updateService(target, '--env-add', `EVENT=${fresh()}`),
  },
  {
    name: 'another health check',
    effect: 'replaces',
    run: (target) =>
      updateService(
        target,
        '--health-cmd',
        'true',
        '--health-interval',
        `${(count++ % 50) + 5}s`,
        '--health-retries',
        '5',
      ),
  },
  {
    name: 'a rollback of the service',
    effect: 'replaces',
    run: async (target) => {
      // Nothing to go back to is no event.
      await docker(target, 'service', 'rollback', '-q', '-d', target.service).catch((error: unknown) => {
        if (!String(error).includes('does not have a previous spec')) throw error;
      });
    },
  },
  {
    name: 'the node is drained and comes back',
    effect: 'moves',
    run: async (target, signal) => {
      await update(target, 'node', 'update', '--availability', 'drain', target.node);
      try {
        await pauseUnlessOver(3_000, signal);
      } finally {
        await update(target, 'node', 'update', '--availability', 'active', target.node);
      }
    },
  },
];
