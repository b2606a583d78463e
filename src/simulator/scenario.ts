import { BEHAVIOURS, DEFAULT_CONFIG, NO_FAULTS, TOPOLOGIES, type SimulationConfig } from './config.ts';
import { CoordinatedWorld } from './coordinated-world.ts';
import { newWorld, simulatedAlgorithms } from './families.ts';
import type { World } from './world.ts';

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
 * Other settings: `topology`, `degree`, `behaviour`, `duration`, `dump`, `detect` (milliseconds), `interval`, `seed`. `snapshot p1` names the initiator,
 * which matters to `koo-toueg`.
 * @throws RangeError naming the line that is not understood
 */
export function runScenario(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
  const settings = new Map(
    lines
      .filter((line) => !line.startsWith('at '))
      .map((line) => [line.split(/\s+/)[0] ?? '', line.split(/\s+/)[1] ?? '']),
  );
  const family = simulatedAlgorithms[settings.get('algorithm') ?? ''];
  if (family === undefined) throw new RangeError(`no algorithm ${settings.get('algorithm') ?? ''}`);
  const world = newWorld(configOf(settings), family);
  for (const line of lines) if (line.startsWith('at ')) schedule(world, line);
  world.run();
  const cut = world instanceof CoordinatedWorld ? cutLines(world) : [];
  const faults = world.violations.length === 0 ? ['no faults'] : world.violations;
  return [...world.trace.lines(), ...cut, ...faults].join('\n') + '\n';
}

function configOf(settings: ReadonlyMap<string, string>): SimulationConfig {
  const number = (name: string, value: number): number => Number(settings.get(name) ?? value);
  const topology = TOPOLOGIES.find((one) => one === settings.get('topology')) ?? 'line';
  const behaviour = BEHAVIOURS.find((one) => one === settings.get('behaviour')) ?? 'idle';
  return {
    ...DEFAULT_CONFIG,
    seed: number('seed', 1),
    processes: number('processes', 2),
    topology,
    degree: number('degree', 2),
    behaviour,
    thinkMs: number('think', 1e6),
    latencyMs: number('latency', 10),
    jitterMs: 0,
    durationMs: number('duration', 1000),
    intervalMs: number('interval', 0),
    stateBytes: 0,
    costs: {
      ...DEFAULT_CONFIG.costs,
      dumpBaseMs: number('dump', 20),
      detectMs: number('detect', 50),
      restoreBaseMs: 50,
      controlJitterMs: 0,
    },
    faults: NO_FAULTS,
    trace: true,
  };
}

function schedule(world: World, line: string): void {
  const [, time, verb, ...words] = line.split(/\s+/);
  const [first, second] = words.map((name) => world.processes.find((process) => process.name === name));
  const at = Number(time);
  if (verb === 'send' && first !== undefined && second !== undefined) {
    world.at(at, () => world.sendFrom(first, second, Number(words[2] ?? 0)));
  } else if (verb === 'crash' && first !== undefined) {
    world.at(at, () => world.crashNow(first));
  } else if (verb === 'snapshot' && world instanceof CoordinatedWorld) {
    world.at(at, () => world.startRound(first));
  } else throw new RangeError(`not understood: ${line}`);
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
