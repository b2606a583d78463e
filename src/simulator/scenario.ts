import { BEHAVIOURS, DEFAULT_CONFIG, NO_FAULTS, TOPOLOGIES, micros, type SimulationConfig } from './world/config.ts';
import { CoordinatedWorld } from './coordinated/world.ts';
import { newWorld, simulatedAlgorithms } from './families.ts';
import { MessageWorld } from './messages/world.ts';
import type { Process } from './world/process.ts';
import type { World } from './world/world.ts';

/** Settings that a scenario may begin with. Times in milliseconds. */
const SETTINGS = [
  'algorithm',
  'processes',
  'topology',
  'degree',
  'behaviour',
  'think',
  'latency',
  'fifo',
  'duration',
  'interval',
  'deadline',
  'dump',
  'detect',
  'log',
  'seed',
] as const;
type Settings = ReadonlyMap<string, string>;

/**
 * Runs a scenario and gives back what happened, one line per event. A scenario is a few lines of text; `#` begins a comment:
 * ```
 * algorithm chandy-lamport
 * processes 2
 * latency 10
 * at 5 send p0 p1 40
 * at 10 snapshot
 * at 60 crash p1
 * ```
 * Other settings: `topology`, `degree`, `behaviour`, `think`, and in milliseconds `duration`, `interval`, `deadline`, `dump`, `detect` (until a crash is
 * noticed), `log` (one durable write); `fifo no`, `seed`. What can be done at a time: `send FROM TO PAYLOAD`, `crash P`, `slow FROM TO MS` (messages on
 * that channel take so much longer from now on); where checkpoints are coordinated `snapshot` (`snapshot p1` names the initiator, which
 * matters to `koo-toueg`), `late P MS` (the coordinator's words reach p so much later), `coordinator-dies MS`, `agent-dies P MS`,
 * `hang-up FROM TO`, `forge FROM TO EPOCH` (a marker that nobody sent); elsewhere `checkpoint P`.
 * @throws RangeError naming the line that is not understood
 */
export function runScenario(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
  const settings = new Map<string, string>();
  for (const line of lines.filter((one) => !one.startsWith('at '))) {
    const [name = '', value, ...more] = line.split(/\s+/);
    if (value === undefined || more.length > 0 || !SETTINGS.some((one) => one === name)) {
      throw new RangeError(`not understood: ${line}`);
    }
    settings.set(name, value);
  }
  const family = simulatedAlgorithms[settings.get('algorithm') ?? ''];
  if (family === undefined) throw new RangeError(`no algorithm ${settings.get('algorithm') ?? ''}`);
  const world = newWorld(configOf(settings), family);
  for (const line of lines) if (line.startsWith('at ')) schedule(world, line);
  world.run();
  const faults = world.violations.length === 0 ? ['no faults'] : world.violations;
  return [...world.trace.lines(), ...outcome(world), ...faults].join('\n') + '\n';
}

function configOf(settings: Settings): SimulationConfig {
  const number = (name: (typeof SETTINGS)[number], value: number): number => {
    const given = Number(settings.get(name) ?? value);
    if (!Number.isFinite(given)) throw new RangeError(`not understood: ${name} ${settings.get(name) ?? ''}`);
    return given;
  };
  const oneOf = <T extends string>(name: (typeof SETTINGS)[number], list: readonly T[], value: T): T => {
    const given = settings.get(name) ?? value;
    const found = list.find((one) => one === given);
    if (found === undefined) throw new RangeError(`not understood: ${name} ${given}`);
    return found;
  };
  return {
    ...DEFAULT_CONFIG,
    seed: number('seed', 1),
    processes: number('processes', 2),
    topology: oneOf('topology', TOPOLOGIES, 'line'),
    degree: number('degree', 2),
    behaviour: oneOf('behaviour', BEHAVIOURS, 'idle'),
    thinkMs: number('think', 1e6),
    latencyMs: number('latency', 10),
    jitterMs: 0,
    fifo: oneOf('fifo', ['yes', 'no'], 'yes') === 'yes',
    durationMs: number('duration', 1000),
    intervalMs: number('interval', 0),
    deadlineMs: number('deadline', DEFAULT_CONFIG.deadlineMs),
    stateBytes: 0,
    costs: {
      ...DEFAULT_CONFIG.costs,
      dumpBaseMs: number('dump', 20),
      detectMs: number('detect', 50),
      logWriteMs: number('log', DEFAULT_CONFIG.costs.logWriteMs),
      restoreBaseMs: 50,
      controlJitterMs: 0,
    },
    faults: NO_FAULTS,
    trace: true,
  };
}

function schedule(world: World, line: string): void {
  const [, time = '', verb = '', ...words] = line.split(/\s+/);
  const action = actionOf(world, verb, words);
  if (action === undefined || !Number.isFinite(Number(time))) throw new RangeError(`not understood: ${line}`);
  world.at(Number(time), action);
}

/** What a line asks for; undefined if it is not understood. */
function actionOf(world: World, verb: string, words: readonly string[]): (() => void) | undefined {
  const [first, second] = words.map((name) => world.processes.find((process) => process.name === name));
  const channel = second && first?.out.find(({ to }) => to === second);
  const last = Number(words.at(-1));
  if (first !== undefined && verb === 'crash') return () => world.crashNow(first);
  if (first !== undefined && second !== undefined && verb === 'send') return () => world.sendFrom(first, second, last);
  if (channel !== undefined && verb === 'slow') return () => world.slowDown(channel, last);
  if (world instanceof MessageWorld) return first && messageAction(world, verb, first);
  if (!(world instanceof CoordinatedWorld)) return undefined;
  switch (verb) {
    case 'late': {
      const agent = first && world.agents[first.index];
      return agent && (() => world.control.slowDown(agent, last));
    }
    case 'snapshot':
      return () => world.startRound(first);
    case 'coordinator-dies':
      return () => world.coordinatorCrash(micros(last));
    case 'agent-dies':
      return first && (() => world.agentCrash(first, micros(last)));
    case 'hang-up':
      return channel && (() => world.hangUp(channel));
    case 'forge':
      return channel && (() => world.forgeMarker(channel, last));
    default:
      return undefined;
  }
}

function messageAction(world: MessageWorld, verb: string, process: Process): (() => void) | undefined {
  return verb === 'checkpoint' ? () => world.checkpointNow(process) : undefined;
}

function outcome(world: World): string[] {
  if (world instanceof CoordinatedWorld) return cutLines(world);
  const { checkpoints, forcedCheckpoints, uselessCheckpoints, recoveries, processesRolledBack } = world.metrics;
  return [
    `checkpoints: ${checkpoints}, forced: ${forcedCheckpoints}, useless: ${uselessCheckpoints}`,
    ...(recoveries > 0 ? [`went back: ${processesRolledBack}`] : []),
  ];
}

/** What the last committed cut holds. */
function cutLines(world: CoordinatedWorld): string[] {
  const { committed } = world;
  return [
    `cut of epoch ${committed.epoch}:`,
    ...world.channels.map((channel) => {
      const numbers = (committed.channels[channel.index] ?? []).map((message) => message.number);
      const sent = committed.states[channel.from.index]?.sentTo(channel.position) ?? 0;
      const delivered = committed.states[channel.to.index]?.receivedFrom(channel.reversePosition) ?? 0;
      return `  ${channel.id}: ${sent} sent, ${delivered} delivered, in transit: ${numbers.join(' ') || 'nothing'}`;
    }),
  ];
}
