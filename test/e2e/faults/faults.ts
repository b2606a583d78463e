/** The faults of the matrix: how each is put in, how long it lasts, and where it can be. */
import { killHost, startKilledHost } from '../../../examples/testbed/index.ts';
import { STEPS, type Step, type StepOperation } from '../../../src/model/steps.ts';
import { FREEZE_MS, MANAGER, NODES, type Ground, type Running } from './ground.ts';

/** What is done meanwhile. `drain`: all that a stack has on a node moves, by the steps of a migration. */
export type Operation = StepOperation | 'drain';

/** What a fault is put into. */
export interface Scene {
  readonly ground: Ground;
  /** Node on which the step was reached; of the client's task, for a step of the coordinator. */
  readonly victim: string;
  readonly coordinator: Running;
  /** Of the good snapshot that a restore is made from. */
  readonly goodId: string;
}

export interface Fault {
  readonly id: string;
  /** For the table. */
  readonly what: string;
  /** What the fail point does. Default: it holds the step while the fault is put in. */
  readonly point?: 'enospc' | 'error';
  /** Before the operation begins. */
  before?(ground: Ground): Promise<void>;
  /** While the step is held. */
  strike?(scene: Scene): Promise<void>;
  /** How long it lasts after the step has gone on. Milliseconds; default: the rest of the cell. */
  readonly lastsMs?: number;
  /** The step itself is held for so much longer. Milliseconds. */
  readonly holdsMs?: number;
  /** Ends it. Also called when the step was not reached. */
  heal?(ground: Ground, victim: string): Promise<void>;
  /** It ends the tasks of its node, as it would without us: what is promised is that they can be restored. */
  readonly endsTasks?: boolean;
  /** It ends connections of running tasks. */
  readonly endsConnections?: boolean;
  /** Where it makes sense. */
  applies(step: Step, operation: Operation, algorithm: string): boolean;
}

/** Long enough for every deadline of a round to pass. Milliseconds. */
const STOPPED_MS = FREEZE_MS + 4_000;

/** Nothing is undone at these, so that nothing can fail; or what fails at them is another failure's undoing. */
const NEVER_FAIL: ReadonlySet<Step> = new Set<Step>([
  'coordinator.locked',
  'coordinator.committed',
  'coordinator.abort',
  'coordinator.undo',
]);

/** At these something is written. */
const WRITES: ReadonlySet<Step> = new Set<Step>([
  'coordinator.commit',
  'coordinator.journal',
  'coordinator.commit-record',
  'agent.prepare',
  'agent.block',
  'agent.dump',
  'agent.collect',
  'agent.record',
  'agent.finish',
  'agent.expect',
  'agent.stage',
  'agent.restored',
  'agent.take-over',
  'agent.prepare-retirement',
  'sidecar.collect',
]);

const everywhere = (): boolean => true;
const only =
  (...steps: readonly Step[]) =>
  (step: Step): boolean =>
    steps.includes(step);

const service = (name: 'agent' | 'engine', signal: string, node: string, ground: Ground): Promise<string> =>
  ground.sh(node, `kill -${signal} "$(cat /run/testbed/${name}.pid)"`);

/** All sidecars of a node. The pattern does not match the shell that has it in its own command line. */
const sidecars = (signal: string, node: string, ground: Ground): Promise<string> =>
  ground.sh(
    node,
    `for p in /proc/[0-9]*; do case "$(tr '\\0' ' ' <$p/cmdline 2>/dev/null)" in *agent/sidecar/m[a]in.js*) kill -${signal} "\${p#/proc/}" 2>/dev/null;; esac; done; true`,
  );

/** Packets that match go through no more: rules in the host's own network namespace. */
const drop = (node: string, ground: Ground, rules: readonly string[]): Promise<string> =>
  ground.sh(
    node,
    `nft -f - <<'END'
add table inet faults
add chain inet faults input { type filter hook input priority -300; }
add chain inet faults output { type filter hook output priority -300; }
${rules.map((rule) => `add rule inet faults ${rule} drop`).join('\n')}
END`,
  );
const undrop = (ground: Ground, node: string): Promise<void> =>
  ground.sh(node, 'nft delete table inet faults 2>/dev/null; true').then(() => undefined);

const cutAgent = (seconds: number): Fault => ({
  id: `cut-agent-${seconds}`,
  what: `the agent cannot be reached for ${seconds} s`,
  lastsMs: seconds * 1000,
  strike: async ({ ground, victim }) => {
    await drop(victim, ground, ['input tcp dport { 7433, 7435 }', 'output tcp sport { 7433, 7435 }']);
  },
  heal: undrop,
  applies: everywhere,
});

const cutNodes = (seconds: number): Fault => ({
  id: `cut-nodes-${seconds}`,
  what: `nothing goes between the two workers for ${seconds} s`,
  lastsMs: seconds * 1000,
  strike: async ({ ground, victim }) => {
    const other = victim === 'n2' ? 'n3' : 'n2';
    const address = (await ground.sh(victim, `getent hosts ${other}`)).split(' ')[0] ?? '';
    const at = victim === MANAGER ? 'n3' : victim;
    await drop(at, ground, [`input ip saddr ${address}`, `output ip daddr ${address}`]);
  },
  heal: (ground, victim) => undrop(ground, victim === MANAGER ? 'n3' : victim),
  applies: everywhere,
});

/** A file system of a few pages over a folder of ours. */
const full = (
  id: string,
  what: string,
  folder: string,
  nodes: readonly string[],
  applies: Fault['applies'],
): Fault => ({
  id,
  what,
  before: async (ground) => {
    for (const node of nodes)
      await ground.sh(
        node,
        `mkdir -p -m 700 ${folder} && mount -t tmpfs -o size=8k,mode=700 tmpfs ${folder} && mkdir -m 700 ${folder}/incoming && head -c 8192 /dev/zero >${folder}/.full; true`,
      );
  },
  heal: async (ground) => {
    for (const node of nodes) await ground.sh(node, `umount -l ${folder} 2>/dev/null; true`);
  },
  applies,
});

/** What is done to the memory pages of the client in the good snapshot. `$1`: its id. */
const toPages = (script: string): string => `
f=$(node -e 'const l=JSON.parse(require("fs").readFileSync("/var/lib/swarmcut/snapshots/"+process.argv[1]+".json"));
const t=Object.entries(l.tasks).find(([k])=>k.includes("_client"))??Object.entries(l.tasks)[0];
const p=t[1].parts.find(({path})=>path.startsWith("pages-"));process.stdout.write("/var/lib/swarmcut/parts/"+p.sha256.slice(0,2)+"/"+p.sha256)' "$1")
${script}`;
const FLIP = `node -e 'const fs=require("fs");const f=fs.openSync(process.argv[1],"r+");const b=Buffer.alloc(1);fs.readSync(f,b,0,1,4096);b[0]^=1;fs.writeSync(f,b,0,1,4096)' "$f"`;

/** The node that has the client's part. */
async function holder({ ground, goodId }: Scene): Promise<string> {
  for (const node of NODES) {
    const file = `/var/lib/swarmcut/snapshots/${goodId}.json`;
    if ((await ground.sh(node, `grep -l _client ${file} 2>/dev/null; true`)) !== '') return node;
  }
  throw new Error(`no node has the client's part of ${goodId}`);
}

/** What was done to a part, and how to take it back. */
let mend: (() => Promise<unknown>) | undefined;

export const FAULTS: readonly Fault[] = [
  {
    id: 'kill-coordinator',
    what: 'the coordinator is killed',
    strike: ({ coordinator }) => coordinator.signal('KILL'),
    applies: everywhere,
  },
  {
    id: 'stop-coordinator',
    what: `the coordinator stands still for ${STOPPED_MS / 1000} s`,
    strike: ({ coordinator }) => coordinator.signal('STOP'),
    lastsMs: STOPPED_MS,
    applies: everywhere,
  },
  {
    id: 'kill-agent',
    what: 'the agent is killed',
    strike: async ({ ground, victim }) => {
      await service('agent', 'KILL', victim, ground);
    },
    applies: everywhere,
  },
  {
    id: 'stop-agent',
    what: `the agent stands still for ${STOPPED_MS / 1000} s`,
    strike: async ({ ground, victim }) => {
      await service('agent', 'STOP', victim, ground);
    },
    lastsMs: STOPPED_MS,
    heal: async (ground, victim) => {
      await service('agent', 'CONT', victim, ground);
    },
    applies: everywhere,
  },
  {
    id: 'kill-sidecar',
    what: "the node's sidecars are killed",
    strike: async ({ ground, victim }) => {
      await sidecars('KILL', victim, ground);
    },
    endsConnections: true,
    applies: (_step, _operation, algorithm) => algorithm === 'chandy-lamport',
  },
  {
    id: 'stop-sidecar',
    what: `the node's sidecars stand still for ${STOPPED_MS / 1000} s`,
    strike: async ({ ground, victim }) => {
      await sidecars('STOP', victim, ground);
    },
    lastsMs: STOPPED_MS,
    heal: async (ground, victim) => {
      await sidecars('CONT', victim, ground);
    },
    endsConnections: true,
    applies: (_step, _operation, algorithm) => algorithm === 'chandy-lamport',
  },
  {
    id: 'kill-engine',
    what: 'dockerd is killed',
    strike: async ({ ground, victim }) => {
      await service('engine', 'KILL', victim, ground);
    },
    endsTasks: true,
    applies: everywhere,
  },
  {
    id: 'stop-engine',
    what: `dockerd stands still for ${STOPPED_MS / 1000} s`,
    strike: async ({ ground, victim }) => {
      await service('engine', 'STOP', victim, ground);
    },
    lastsMs: STOPPED_MS,
    heal: async (ground, victim) => {
      await service('engine', 'CONT', victim, ground);
    },
    applies: everywhere,
  },
  {
    id: 'kill-host',
    what: 'the whole node loses its power',
    strike: ({ ground, victim }) => killHost({ name: ground.bed }, victim),
    heal: async (ground, victim) => {
      await startKilledHost({ name: ground.bed }, victim);
      await ground.switchOn([victim]);
    },
    lastsMs: 2_000,
    endsTasks: true,
    applies: everywhere,
  },
  cutAgent(5),
  cutAgent(60),
  cutNodes(5),
  cutNodes(60),
  {
    id: 'lossy',
    what: 'the node loses a third of all packets for 8 s',
    lastsMs: 8_000,
    strike: async ({ ground, victim }) => {
      const rule = 'iifname "eth0" numgen random mod 100 < 33';
      await drop(victim, ground, [`input ${rule}`]);
    },
    heal: undrop,
    applies: everywhere,
  },
  { id: 'error', what: 'the step fails', point: 'error', applies: (step) => !NEVER_FAIL.has(step) },
  { id: 'enospc', what: 'the step finds the disk full', point: 'enospc', applies: (step) => WRITES.has(step) },
  full('full-stage', 'the file system of the stage is full', '/run/swarmcut/stage', NODES, only('agent.dump')),
  full('full-store', 'the file system of the parts is full', '/var/lib/swarmcut/parts', NODES, only('agent.collect')),
  full(
    'full-journal',
    "the file system of the agent's journal is full",
    '/run/swarmcut/journal',
    NODES,
    (step, operation) => step === (operation === 'restore' ? 'coordinator.stop-old' : 'agent.prepare'),
  ),
  {
    id: 'criu-fails',
    what: 'CRIU ends with an error',
    strike: async ({ ground, victim }) => {
      await ground.sh(
        victim,
        `criu=$(readlink -f "$(command -v criu)"); printf '#!/bin/sh\\nexit 1\\n' >/run/testbed/no-criu; chmod 755 /run/testbed/no-criu; mount --bind /run/testbed/no-criu "$criu"`,
      );
    },
    heal: async (ground, victim) => {
      await ground.sh(
        victim,
        'umount -l "$(readlink -f "$(command -v criu)")" 2>/dev/null; rm -f /run/testbed/no-criu',
      );
    },
    applies: only('agent.dump', 'agent.restore'),
  },
  {
    id: 'damage-part',
    what: 'a byte of a part on disk changes',
    strike: async (scene) => {
      const node = await holder(scene);
      const flip = (): Promise<string> => scene.ground.sh(node, toPages(FLIP), scene.goodId);
      await flip();
      mend = flip;
    },
    heal: async () => {
      await mend?.();
      mend = undefined;
    },
    applies: only('coordinator.check-parts'),
  },
  {
    id: 'remove-part',
    what: 'a part on disk is removed',
    strike: async (scene) => {
      const node = await holder(scene);
      await scene.ground.sh(
        node,
        toPages('mv "$f" /var/lib/swarmcut/faults-part && printf %s "$f" >/var/lib/swarmcut/faults-part.name'),
        scene.goodId,
      );
      mend = () =>
        scene.ground.sh(
          node,
          'mv /var/lib/swarmcut/faults-part "$(cat /var/lib/swarmcut/faults-part.name)"; rm -f /var/lib/swarmcut/faults-part.name',
        );
    },
    heal: async () => {
      await mend?.();
      mend = undefined;
    },
    applies: (step, operation) =>
      operation === 'restore' &&
      only('coordinator.check-parts', 'coordinator.expect', 'coordinator.stage', 'agent.stage')(step),
  },
  {
    id: 'deadline',
    what: `the step takes ${(FREEZE_MS + 3_000) / 1000} s longer: the deadline of a round passes`,
    holdsMs: FREEZE_MS + 3_000,
    applies: everywhere,
  },
];

/** A fault that must be provoked for a step to be reached at all: the step that fails then. */
export const PROVOKED: Partial<Readonly<Record<Step, Step>>> = {
  'coordinator.abort': 'agent.dumped',
  'agent.abort': 'agent.dumped',
  'coordinator.undo': 'agent.restored',
  'agent.abort-restore': 'agent.restored',
};

export function faultOf(id: string): Fault {
  const fault = FAULTS.find((one) => one.id === id);
  if (fault === undefined)
    throw new Error(`there is no fault ${id}: there are ${FAULTS.map((one) => one.id).join(', ')}`);
  return fault;
}

/** Whether a step is of an operation under an algorithm: only stacks with sidecars pass those of sidecars, and only `sync` lets all go together. */
export function taken(step: Step, operation: Operation, algorithm: string): boolean {
  const operations: readonly StepOperation[] = STEPS[step].operations;
  return (
    operations.includes(operation === 'drain' ? 'migrate' : operation) &&
    (algorithm === 'chandy-lamport' || !step.startsWith('sidecar.')) &&
    (algorithm === 'sync' || step !== 'coordinator.release')
  );
}
