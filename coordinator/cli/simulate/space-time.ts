import { DEFAULT_CONFIG, NO_FAULTS, type SimulationConfig } from '../../../src/simulator/world/config.ts';
import { newWorld, simulatedAlgorithms } from '../../../src/simulator/families.ts';
import type { TraceEvent } from '../../../src/simulator/world/measurement/trace.ts';
import { renderSvg } from './charts.ts';

const WIDTH = 1180;
const HEIGHT = 400;
const MAX_PROCESSES = 5;
/** The only round begins here; milliseconds. */
const ROUND_MS = 200;
/** Shown before the first freeze and after the last thaw. */
const MARGIN_MS = 40;

const MESSAGE = '#9aa7b5';
const CROSSING = '#e07b00';
const CUT = '#c0392b';
const FROZEN = '#5b8def';

interface Arrow {
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  /** Sent before its sender's cut and delivered after its receiver's: it is channel state. */
  readonly crosses: boolean;
}

/** Processes as lines, messages as arrows, freezes as bars, and the cut through the points where each process was frozen. SVG. */
export function spaceTime(name: string, config: SimulationConfig): string {
  const family = simulatedAlgorithms[name];
  if (family === undefined) return '';
  const processes = Math.min(config.processes, MAX_PROCESSES);
  const world = newWorld(
    {
      // Costs are those asked for; all else is such that something can be seen.
      ...DEFAULT_CONFIG,
      seed: config.seed,
      fifo: config.fifo,
      processes,
      topology: 'ring',
      degree: 2,
      behaviour: 'all-to-all',
      durationMs: 2 * ROUND_MS - 1,
      intervalMs: ROUND_MS,
      thinkMs: 12,
      latencyMs: 6,
      jitterMs: 5,
      // What the block drops comes again soon enough to be seen.
      rtoMs: 8,
      stateBytes: 1e6,
      costs: { ...config.costs, dumpBaseMs: 20, controlJitterMs: 9, controlLatencyMs: 2 },
      faults: NO_FAULTS,
      trace: true,
    },
    family,
  ).run();
  const { events } = world.trace;
  const row = new Map(world.processes.map((process) => [process.name, process.index]));
  const cut = cutTimes(events);
  const arrows = arrowsOf(events, row, cut);
  const bars = freezes(events, row);
  const points = world.processes
    .map((process): [number, number] => [cut.get(process.name) ?? Number.NaN, process.index])
    .filter(([time]) => !Number.isNaN(time));
  if (points.length === 0 || bars.length === 0) return '';
  const begin = Math.min(...points.map(([time]) => time)) - MARGIN_MS;
  const end = Math.max(...bars.map(([, to]) => to)) + MARGIN_MS;
  const [from, to] = [Math.floor(begin / 10) * 10, Math.ceil(end / 10) * 10];
  return renderSvg(
    {
      grid: { top: 20, left: 50, right: 24, bottom: 46 },
      xAxis: {
        type: 'value',
        name: 'simulated time, ms',
        nameLocation: 'middle',
        nameGap: 28,
        min: from,
        max: to,
        splitLine: { show: false },
        axisLine: { onZero: false },
      },
      yAxis: {
        type: 'value',
        min: -0.5,
        max: processes - 0.5,
        interval: 0.5,
        axisLine: { show: false },
        axisTick: { show: false },
        splitLine: { show: false },
        axisLabel: { formatter: (value: number) => (Number.isInteger(value) ? `p${value}` : '') },
      },
      series: [
        ...world.processes.map(({ index }) => ({
          type: 'line' as const,
          data: [
            [from, index],
            [to, index],
          ],
          symbol: 'none',
          lineStyle: { color: '#444', width: 1 },
        })),
        ...bars.map(([frozen, thawed, at]) => ({
          type: 'line' as const,
          data: [
            [frozen, at],
            [thawed, at],
          ],
          symbol: 'none',
          lineStyle: { color: FROZEN, width: 9, opacity: 0.55 },
        })),
        {
          type: 'lines',
          coordinateSystem: 'cartesian2d',
          symbol: ['none', 'arrow'],
          symbolSize: 7,
          clip: true,
          data: arrows.map(({ from: tail, to: head, crosses }) => ({
            coords: [[...tail], [...head]],
            lineStyle: { color: crosses ? CROSSING : MESSAGE, width: crosses ? 2 : 1, opacity: 1 },
          })),
        },
        {
          type: 'line',
          data: points,
          lineStyle: { color: CUT, width: 2, type: 'dashed' },
          itemStyle: { color: CUT },
          symbol: 'circle',
          symbolSize: 9,
        },
      ],
    },
    WIDTH,
    HEIGHT,
  );
}

/** What the colours of the diagram mean. HTML. */
export const SPACE_TIME_LEGEND = `<p class="legend"><span style="color:${CUT}">● – – the cut</span> <span style="color:${FROZEN}">▬ frozen</span> <span style="color:${CROSSING}">→ under way at the cut: state of a channel</span> <span style="color:#667">→ other messages</span></p>`;

/** When each process made its first cut, milliseconds. */
function cutTimes(events: readonly TraceEvent[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const { time, process, kind } of events) {
    if (kind === 'cut' && !times.has(process)) times.set(process, time / 1000);
  }
  return times;
}

function arrowsOf(
  events: readonly TraceEvent[],
  row: ReadonlyMap<string, number>,
  cut: ReadonlyMap<string, number>,
): Arrow[] {
  const sent = new Map<string, number>();
  const arrows: Arrow[] = [];
  for (const { time, process, kind, subject = '', number = 0 } of events) {
    const ms = time / 1000;
    const message = `${subject} ${number}`;
    if (kind === 'send') sent.set(message, ms);
    const sentAt = sent.get(message);
    if (kind !== 'receive' || sentAt === undefined) continue;
    const sender = subject.split('>')[0] ?? '';
    const crosses = sentAt < (cut.get(sender) ?? 0) && ms > (cut.get(process) ?? Number.POSITIVE_INFINITY);
    arrows.push({ from: [sentAt, row.get(sender) ?? 0], to: [ms, row.get(process) ?? 0], crosses });
  }
  return arrows;
}

/** From, to, process: when each was frozen, milliseconds. */
function freezes(events: readonly TraceEvent[], row: ReadonlyMap<string, number>): [number, number, number][] {
  const since = new Map<string, number>();
  const bars: [number, number, number][] = [];
  for (const { time, process, kind } of events) {
    if (kind === 'freeze') since.set(process, time / 1000);
    const from = since.get(process);
    if (kind !== 'thaw' || from === undefined) continue;
    since.delete(process);
    bars.push([from, time / 1000, row.get(process) ?? 0]);
  }
  return bars;
}
