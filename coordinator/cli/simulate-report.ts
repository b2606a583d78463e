import * as echarts from 'echarts';
import type { EChartsOption } from 'echarts';
import type { SimulationConfig } from '../../src/simulator/config.ts';
import { newWorld, simulatedAlgorithms } from '../../src/simulator/families.ts';
import type { StudyRow } from '../../src/simulator/study.ts';
import type { Runs } from './simulate-runs.ts';

const WIDTH = 900;
const HEIGHT = 420;
/** A run is swept over these; each point is one run, so the messages per run are limited. */
const SWEEP_PROCESSES = [2, 4, 8, 16, 32, 64];
const SWEEP_THINK_MS = [100, 30, 10, 3];
const SWEEP_MTBF_SECONDS = [0, 300, 100, 30, 10];
const SWEEP_MESSAGES = 50_000;

/** One self-contained HTML page: the table, three sweeps, and a space-time diagram of a short run with the cut drawn through it. */
export async function writeReport(
  algorithms: readonly string[],
  config: SimulationConfig,
  rows: readonly StudyRow[],
  runs: Runs,
): Promise<string> {
  const limited = { ...config, messageLimit: config.messageLimit === 0 ? SWEEP_MESSAGES : config.messageLimit };
  const sweep = async (
    title: string,
    axis: string,
    values: readonly number[],
    change: (value: number) => SimulationConfig,
  ): Promise<string[]> => {
    const points: { readonly value: number; readonly rows: readonly StudyRow[] }[] = [];
    for (const value of values) points.push({ value, rows: await runs.compare(algorithms, change(value)) });
    const plot = (what: string, pick: (row: StudyRow) => number): string =>
      lines(
        `${title}: ${what}`,
        axis,
        algorithms,
        points.map(({ value, rows: all }) => ({
          value,
          row: (name) => {
            const row = all.find(({ algorithm }) => algorithm === name);
            return row === undefined ? null : pick(row);
          },
        })),
      );
    return [
      plot('blocked time per process, ms', (row) => row.blockedMeanMs),
      plot('control messages', (row) => row.controlMessages),
      plot('piggyback, bytes per message', (row) => row.piggybackBytesPerMessage),
      plot('lost work per failure, ms', (row) => row.lostWorkMsPerFailure),
    ];
  };
  const charts = [
    ...(await sweep('Number of processes', 'processes', SWEEP_PROCESSES, (processes) => ({
      ...limited,
      processes,
      degree: 2,
    }))),
    ...(await sweep('Message rate', 'think time, ms', SWEEP_THINK_MS, (thinkMs) => ({ ...limited, thinkMs }))),
    ...(await sweep('Failure rate', 'MTBF of a process, s (0: none)', SWEEP_MTBF_SECONDS, (mtbfSeconds) => ({
      ...limited,
      faults: { ...limited.faults, mtbfSeconds },
    }))),
  ];
  const diagram = spaceTime(algorithms[0] ?? 'lai-yang', config);
  return page(config, rows, [diagram, ...charts]);
}

function lines(
  title: string,
  axis: string,
  algorithms: readonly string[],
  points: readonly { readonly value: number; readonly row: (name: string) => number | null }[],
): string {
  return render({
    title: { text: title },
    legend: { top: 28 },
    grid: { top: 90, left: 80, right: 30 },
    xAxis: {
      type: 'category',
      name: axis,
      nameLocation: 'middle',
      nameGap: 28,
      data: points.map(({ value }) => String(value)),
    },
    yAxis: { type: 'value' },
    series: algorithms.map((name) => ({ type: 'line' as const, name, data: points.map(({ row }) => row(name)) })),
  });
}

/** Processes as lines, messages as arrows, and the cut through the points where each process was frozen. */
function spaceTime(name: string, config: SimulationConfig): string {
  const family = simulatedAlgorithms[name];
  if (family === undefined) return '';
  const short: SimulationConfig = {
    ...config,
    processes: Math.min(config.processes, 5),
    degree: 2,
    durationMs: 420,
    intervalMs: 200,
    thinkMs: 25,
    latencyMs: 8,
    jitterMs: 6,
    stateBytes: 1e6,
    messageLimit: 0,
    costs: { ...config.costs, dumpBaseMs: 20, controlJitterMs: 12 },
    faults: { ...config.faults, mtbfSeconds: 0 },
    trace: true,
  };
  const world = newWorld(short, family).run();
  const row = new Map(world.processes.map(({ name: process }, index) => [process, index]));
  const sent = new Map<string, number>();
  const arrows: { coords: [number, number][]; lineStyle: { color: string } }[] = [];
  const cut = new Map<string, [number, number]>();
  for (const { time, process, kind, subject, number } of world.trace.events) {
    const ms = time / 1000;
    if (kind === 'send') sent.set(`${subject ?? ''} ${number ?? 0}`, ms);
    if (kind === 'cut' && !cut.has(process)) cut.set(process, [ms, row.get(process) ?? 0]);
    const from = sent.get(`${subject ?? ''} ${number ?? 0}`);
    if (kind !== 'receive' || from === undefined) continue;
    const sender = row.get(subject?.split('>')[0] ?? '') ?? 0;
    const receiver = row.get(process) ?? 0;
    arrows.push({
      coords: [
        [from, sender],
        [ms, receiver],
      ],
      lineStyle: { color: '#7a8ca3' },
    });
  }
  const points = [...cut.values()].sort((a, b) => a[1] - b[1]);
  return render({
    title: { text: `Space-time diagram: ${name}, the cut in red` },
    grid: { top: 50, left: 60, right: 30 },
    xAxis: { type: 'value', name: 'ms', min: 150, max: 420 },
    yAxis: {
      type: 'value',
      min: -0.5,
      max: world.processes.length - 0.5,
      interval: 1,
      axisLabel: { formatter: (value: number) => (Number.isInteger(value) ? `p${value}` : '') },
    },
    series: [
      {
        type: 'lines',
        coordinateSystem: 'cartesian2d',
        symbol: ['none', 'arrow'],
        symbolSize: 6,
        clip: true,
        data: arrows,
      },
      {
        type: 'line',
        data: points,
        lineStyle: { color: '#c0392b', width: 2 },
        itemStyle: { color: '#c0392b' },
        symbolSize: 9,
      },
    ],
  });
}

function render(option: EChartsOption): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  try {
    chart.setOption({ animation: false, ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

function page(config: SimulationConfig, rows: readonly StudyRow[], charts: readonly string[]): string {
  const columns = Object.keys(rows[0] ?? {}).filter((key) => key !== 'violations') as (keyof StudyRow)[];
  const cell = (value: unknown): string =>
    escape(typeof value === 'number' ? String(Math.round(value * 10) / 10) : String(value));
  const body = rows.map((row) => `<tr>${columns.map((key) => `<td>${cell(row[key])}</td>`).join('')}</tr>`).join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>swarmcut: what checkpoints cost</title>
<style>body{font:14px/1.5 system-ui,sans-serif;margin:2em auto;max-width:960px;color:#222}table{border-collapse:collapse;font-size:11px;display:block;overflow-x:auto}
td,th{border:1px solid #ccc;padding:2px 6px;text-align:right}pre{background:#f5f5f5;padding:1em;overflow-x:auto}svg{max-width:100%}</style></head>
<body><h1>What checkpoints cost</h1><p>Made by <code>coordinator simulate</code>; the same parameters and seed give the same page.</p>
<table><tr>${columns.map((key) => `<th>${escape(key)}</th>`).join('')}</tr>
${body}</table>
${charts.join('\n')}
<h2>Parameters</h2><pre>${escape(JSON.stringify(config, undefined, 2))}</pre></body></html>
`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
