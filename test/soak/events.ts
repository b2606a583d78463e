/** Ordinary things that happen in a Swarm while a stack is worked on, none of which concerns that stack. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stacks } from '../../examples/demo/stacks.ts';
import { nextBelow } from '../../src/simulator/world/prng.ts';
import type { Prng } from '../../src/simulator/world/prng.ts';
import { pick } from './plan.ts';

const IMAGE = 'swarmcut/examples:latest';

const CREATE = ['service', 'create', '-d', '--no-resolve-image', '--stop-signal', 'SIGKILL'];

/** A service that has nothing to do with anything. */
export const BYSTANDER = 'soak-bystander';

export interface EventContext {
  readonly stacks: Stacks;
  readonly random: Prng;
  /** Nodes on which no task of the stack under test runs. */
  readonly idle: readonly string[];
}

export interface SwarmEvent {
  readonly name: string;
  /** Does it, and undoes it. What Swarm refuses for being second (`update out of sequence`) is no failure. */
  readonly run: (context: EventContext) => Promise<void>;
}

const docker = async ({ stacks }: EventContext, ...argv: string[]): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    const { exitCode, stderr } = await stacks.run('n1', ['docker', ...argv]);
    if (exitCode === 0) return;
    if (attempt >= 5 || !stderr.includes('out of sequence')) throw new Error(`docker ${argv.join(' ')}: ${stderr}`);
  }
};

const someNode = ({ stacks, random }: EventContext): string => pick(random, stacks.nodes) ?? 'n1';

/** What was made under it before may still be on its way out. */
const newName = ({ random }: EventContext, kind: string): string => `soak-${kind}-${nextBelow(random, 1e9)}`;

/** Short, but long enough for Swarm to act upon what was done. */
const moment = ({ random }: EventContext): Promise<void> => sleep(200 + nextBelow(random, 800));

/** A node without tasks of the stack is taken out of service, and comes back. With no such node, one is labelled. */
async function away(context: EventContext, availability: 'drain' | 'pause'): Promise<void> {
  const node = pick(context.random, context.idle);
  if (node === undefined) return labelled(context);
  await docker(context, 'node', 'update', '--availability', availability, node);
  try {
    await moment(context);
  } finally {
    await docker(context, 'node', 'update', '--availability', 'active', node);
  }
}

async function labelled(context: EventContext): Promise<void> {
  const node = someNode(context);
  await docker(context, 'node', 'update', '--label-add', `soak=${nextBelow(context.random, 1000)}`, node);
}

export const EVENTS: readonly SwarmEvent[] = [
  { name: 'node label', run: labelled },
  {
    name: 'network made and removed',
    run: async (context) => {
      const name = newName(context, 'network');
      await docker(context, 'network', 'create', '-d', 'overlay', name);
      await moment(context);
      await docker(context, 'network', 'rm', name);
    },
  },
  {
    name: 'service made and removed',
    run: async (context) => {
      const name = newName(context, 'service');
      await docker(context, ...CREATE, '--name', name, IMAGE, 'sleep', 'infinity');
      await moment(context);
      await docker(context, 'service', 'rm', name);
    },
  },
  {
    name: 'stack made and removed',
    run: async (context) => {
      const name = newName(context, 'stack');
      const service = { image: IMAGE, command: ['sleep', 'infinity'], stop_signal: 'SIGKILL', deploy: { replicas: 2 } };
      const deploy = ['docker', 'stack', 'deploy', '--detach=true', '--resolve-image', 'never', '-c', '-', name];
      await context.stacks.must('n1', deploy, {
        input: JSON.stringify({ version: '3.8', services: { one: service, two: service } }),
      });
      await moment(context);
      await docker(context, 'stack', 'rm', name);
    },
  },
  {
    name: 'update --force of another service',
    run: (context) => docker(context, 'service', 'update', '-d', '--force', BYSTANDER),
  },
  {
    name: 'scale of another service',
    run: async (context) => {
      await docker(context, 'service', 'scale', '-d', `${BYSTANDER}=3`);
      await moment(context);
      await docker(context, 'service', 'scale', '-d', `${BYSTANDER}=1`);
    },
  },
  {
    name: 'config made and removed',
    run: async (context) => {
      const name = newName(context, 'config');
      await context.stacks.must('n1', ['docker', 'config', 'create', name, '-'], { input: 'x' });
      await docker(context, 'config', 'rm', name);
    },
  },
  { name: 'node drained and active again', run: (context) => away(context, 'drain') },
  { name: 'node paused and active again', run: (context) => away(context, 'pause') },
];

/** The service of {@link BYSTANDER}. */
export async function deployBystander(stacks: Stacks): Promise<void> {
  await stacks.must('n1', ['docker', ...CREATE, '--name', BYSTANDER, IMAGE, 'sleep', 'infinity']);
}
