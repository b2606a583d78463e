/**
 * Every step of a snapshot, a restore and a migration, once: who takes it, and in which operations. Each name is also that of a fail point
 * (src/platform/fail-points.ts) which the code passes at the moment that the text says. What comes of a fault at each is in docs/reliability.md.
 */

/** Programs that take part. */
export type StepProgram = 'coordinator' | 'agent' | 'sidecar';

/** Operations whose steps these are. */
export type StepOperation = 'snapshot' | 'restore' | 'migrate';

export interface StepInfo {
  readonly operations: readonly StepOperation[];
  /** The moment. */
  readonly at: string;
}

const SNAPSHOT = ['snapshot'] as const;
const ROUND = ['snapshot', 'migrate'] as const;
const RELOCATION = ['restore', 'migrate'] as const;
const RESTORE = ['restore'] as const;
const MIGRATE = ['migrate'] as const;
const ALL = ['snapshot', 'restore', 'migrate'] as const;

/** In the order in which they come. The first word of a name is the program. */
export const STEPS = {
  'coordinator.locked': { operations: ALL, at: 'the stack is locked, nothing has been asked of any agent' },
  'coordinator.prepare': { operations: ROUND, at: 'before an agent is asked to prepare a task for a round' },
  'coordinator.cut': { operations: ROUND, at: 'all tasks are prepared; before one is told to cut' },
  'coordinator.release': { operations: SNAPSHOT, at: 'all tasks have cut; before one is told so' },
  'coordinator.collect': { operations: ROUND, at: 'before an agent is asked to store what was dumped' },
  'coordinator.commit': { operations: SNAPSHOT, at: 'all is stored; before the manifest is written' },
  'coordinator.committed': { operations: SNAPSHOT, at: 'the manifest is written; before agents hear of it' },
  'coordinator.hand-over': {
    operations: MIGRATE,
    at: 'the final cut is stored; before the migration takes the frozen tasks over',
  },
  'coordinator.abort': { operations: ROUND, at: 'a round has failed; before agents are told' },
  'coordinator.check-parts': { operations: RESTORE, at: 'before agents are asked whether all parts are sound' },
  'coordinator.expect': { operations: RELOCATION, at: 'before agents are told which containers will come' },
  'coordinator.journal': { operations: RELOCATION, at: 'before the first record of the journal is written' },
  'coordinator.replace': { operations: RELOCATION, at: 'nodes are reserved, if need be; before a service is changed' },
  'coordinator.arrivals': {
    operations: RELOCATION,
    at: 'services are changed; before the new containers are waited for',
  },
  'coordinator.stop-old': { operations: RELOCATION, at: 'all new containers wait; before the old tasks stop' },
  'coordinator.stage': { operations: RELOCATION, at: 'the old tasks stand still; before an agent is asked to fetch' },
  'coordinator.restore': { operations: RELOCATION, at: 'all is fetched; before an agent is asked to restore' },
  'coordinator.prepare-retirement': {
    operations: RELOCATION,
    at: 'all is restored, blocked; before old tasks are bound to stand still',
  },
  'coordinator.commit-record': { operations: RELOCATION, at: 'before the commit record is written' },
  'coordinator.carry-out': {
    operations: RELOCATION,
    at: 'the commit record is on disk; before a new task is released',
  },
  'coordinator.retire': {
    operations: RELOCATION,
    at: 'the new tasks run; before an old one is told that it has moved',
  },
  'coordinator.settle': { operations: RELOCATION, at: 'before the services get their final spec' },
  'coordinator.end': { operations: RELOCATION, at: 'before agents are told that the operation has ended' },
  'coordinator.undo': {
    operations: RELOCATION,
    at: 'it has failed before its commit; before the old tasks are told to go on',
  },
  'agent.prepare': { operations: ROUND, at: 'before anything is attached to a task for a round' },
  'agent.block': { operations: ALL, at: "before the dead man's switch is armed and the task is blocked" },
  'agent.freeze': { operations: ALL, at: 'the task is blocked; before it is frozen' },
  'agent.dump': { operations: ROUND, at: 'the task is frozen; before it is dumped' },
  'agent.dumped': { operations: ROUND, at: 'CRIU and tar have ended; before that is reported' },
  'agent.advance': { operations: SNAPSHOT, at: 'before the block is opened, in the new colour' },
  'agent.thaw': { operations: SNAPSHOT, at: 'before the task is thawed' },
  'agent.collect': { operations: ROUND, at: 'before what was dumped goes into the store' },
  'agent.record': { operations: ROUND, at: 'all is in the store; before the ledger says so' },
  'agent.finish': { operations: SNAPSHOT, at: 'before the ledger says permanent' },
  'agent.abort': { operations: ROUND, at: 'before a round is undone' },
  'agent.expect': { operations: RELOCATION, at: 'before containers are expected' },
  'agent.arrived': { operations: RELOCATION, at: 'the shim asks for a new container; before it waits' },
  'agent.stage': { operations: RELOCATION, at: 'before parts are fetched and unpacked' },
  'agent.send': { operations: RELOCATION, at: 'before a part is sent to another node' },
  'agent.staged': { operations: RELOCATION, at: 'all is unpacked; before that is reported' },
  'agent.restore': { operations: RELOCATION, at: 'before the shim is told to run `runc restore`' },
  'agent.check': {
    operations: RELOCATION,
    at: 'CRIU has restored; before it is waited for parts whose hashes are still looked at',
  },
  'agent.restored': { operations: RELOCATION, at: 'CRIU has restored; before that is written down' },
  'agent.take-over': { operations: MIGRATE, at: 'before a frozen task passes from its round to the migration' },
  'agent.prepare-retirement': { operations: RELOCATION, at: 'before an old task is bound to stand still until told' },
  'agent.release': { operations: RELOCATION, at: 'before a restored task is released' },
  'agent.released': { operations: RELOCATION, at: 'the block of a restored task is open; before its shim hears of it' },
  'agent.retire': { operations: RELOCATION, at: 'before an old task is handed over' },
  'agent.end': { operations: RELOCATION, at: 'before expectations are withdrawn' },
  'agent.abort-restore': {
    operations: RELOCATION,
    at: 'before waiting containers are told that the restore was given up',
  },
  'sidecar.prepare': { operations: ROUND, at: 'before a round is announced to the participant' },
  'sidecar.block': { operations: ROUND, at: 'before its streams are held' },
  'sidecar.freeze': { operations: ROUND, at: 'streams are held and the task is blocked; before it is frozen' },
  'sidecar.save': { operations: ROUND, at: 'markers have been sent; before the dump is asked for' },
  'sidecar.advance': { operations: SNAPSHOT, at: 'before what was held back is delivered' },
  'sidecar.collect': { operations: ROUND, at: 'before the recorded channels are written' },
  'sidecar.resume': { operations: RELOCATION, at: "before a restored task's streams look for their peers" },
} as const satisfies Readonly<Record<`${StepProgram}.${string}`, StepInfo>>;

/** Name of a step. */
export type Step = keyof typeof STEPS;
