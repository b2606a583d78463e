import type { SimulationConfig } from '../../../src/simulator/world/config.ts';
import { simulatedAlgorithms } from '../../../src/simulator/families.ts';
import type { StudyRow } from '../../../src/simulator/study.ts';
import { legend, lineChart, type LineChart, type Point } from './charts.ts';
import type { Runs } from './runs.ts';
import { SPACE_TIME_LEGEND, spaceTime } from './space-time.ts';
import { COSTS, FAILURES, nameOf, type Column } from './table.ts';

/** Each point of a sweep is one run per algorithm, so the messages per run are limited. */
const SWEEP_MESSAGES = 50_000;

/** One parameter is changed, the others stay as they were asked for. */
interface Sweep {
  readonly heading: string;
  readonly axis: string;
  readonly values: readonly number[];
  readonly label: (value: number) => string;
  readonly change: (config: SimulationConfig, value: number) => SimulationConfig;
}

const SWEEPS: readonly Sweep[] = [
  {
    heading: 'By number of processes',
    axis: 'processes',
    values: [2, 4, 8, 16, 32, 64],
    label: String,
    change: (config, processes) => ({ ...config, processes, degree: processes < 5 ? 2 : config.degree }),
  },
  {
    heading: 'By message rate',
    axis: 'actions per second of each process',
    values: [100, 30, 10, 3],
    label: (thinkMs) => String(Math.round(1000 / thinkMs)),
    change: (config, thinkMs) => ({ ...config, thinkMs }),
  },
  {
    heading: 'By failure rate',
    axis: 'mean time between failures of one process',
    values: [0, 300, 100, 30, 10],
    label: (seconds) => (seconds === 0 ? 'none' : `${seconds} s`),
    change: (config, mtbfSeconds) => ({ ...config, faults: { ...config.faults, mtbfSeconds } }),
  },
];

const MEASURES: readonly (Pick<LineChart, 'title' | 'logarithmic'> & { readonly pick: (row: StudyRow) => number })[] = [
  { title: 'Blocked per process, ms', logarithmic: false, pick: (row) => row.blockedMeanMs },
  { title: 'Control messages (logarithmic)', logarithmic: true, pick: (row) => row.controlMessages },
  {
    title: 'Piggyback, bytes per message (logarithmic; 0 not drawn)',
    logarithmic: true,
    pick: (row) => row.piggybackBytesPerMessage,
  },
  {
    title: 'Lost work per failure, process ms (logarithmic; 0 not drawn)',
    logarithmic: true,
    pick: (row) => row.lostWorkMsPerFailure,
  },
];

/**
 * One self-contained HTML page: the tables, three sweeps, and a space-time diagram of a short run with the cut drawn through it. Ctrl-C
 * leaves sweeps out.
 */
export async function writeReport(
  algorithms: readonly string[],
  config: SimulationConfig,
  rows: readonly StudyRow[],
  runs: Runs,
): Promise<string> {
  const limited = { ...config, messageLimit: config.messageLimit === 0 ? SWEEP_MESSAGES : config.messageLimit };
  const sections: string[] = [];
  for (const sweep of SWEEPS) sections.push(await sweepSection(sweep, algorithms, limited, runs));
  const drawn = algorithms.find((name) => simulatedAlgorithms[name]?.kind === 'coordinated');
  return page(config, rows, drawn, algorithms, sections);
}

async function sweepSection(
  { heading, axis, values, label, change }: Sweep,
  algorithms: readonly string[],
  config: SimulationConfig,
  runs: Runs,
): Promise<string> {
  const points: { readonly at: string; readonly rows: readonly StudyRow[] }[] = [];
  for (const value of values) {
    if (!runs.stopped) points.push({ at: label(value), rows: await runs.compare(algorithms, change(config, value)) });
  }
  const charts = MEASURES.map(({ title, logarithmic, pick }) =>
    lineChart(
      { title, axis, logarithmic },
      algorithms,
      points.map(({ at, rows }): Point => ({ at, values: new Map(rows.map((row) => [row.algorithm, pick(row)])) })),
    ),
  ).filter((chart) => chart !== undefined);
  return `<h2>${heading}</h2>\n<div class="charts">\n${charts.join('\n')}\n</div>`;
}

const STYLE = `
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;padding:0 1em;max-width:1180px;color:#222;background:#fff}
h2{margin:1.8em 0 .4em}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;margin:.6em 0}
td,th{padding:3px 6px;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
th{border-bottom:2px solid #888}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(460px,1fr));gap:8px}
svg{max-width:100%;height:auto}
.legend span{white-space:nowrap;margin-right:1.2em}
.parameters{columns:3 300px;font-size:13px}
.parameters div{break-inside:avoid}
.parameters b{font-weight:600}`;

function page(
  config: SimulationConfig,
  rows: readonly StudyRow[],
  drawn: string | undefined,
  algorithms: readonly string[],
  sections: readonly string[],
): string {
  const failures = rows.some(({ crashes }) => crashes > 0) ? `<h3>Per failure</h3>${htmlTable(FAILURES, rows)}` : '';
  const diagram =
    drawn === undefined
      ? ''
      : `<h2>A cut</h2>
<p>One round of <code>${escape(drawn)}</code> with a few processes in a ring, slow messages and a short dump, so that something can be seen.</p>
${SPACE_TIME_LEGEND}
${spaceTime(drawn, config)}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>swarmcut: what checkpoints cost</title><style>${STYLE}
</style></head>
<body><h1>What checkpoints cost</h1>
<p>Made by <code>coordinator simulate</code>; the same parameters and seed give the same page. ${escape(summary(config))}</p>
${htmlTable(COSTS, rows)}${failures}
${diagram}
<h2>Sweeps</h2>
<p>One parameter changes, the others are those of the table; each run ends after ${config.messageLimit === 0 ? SWEEP_MESSAGES : config.messageLimit} messages at the latest.</p>
${legend(algorithms)}
${sections.join('\n')}
<h2>Parameters</h2>
<div class="parameters">${parameters(config)}</div></body></html>
`;
}

function summary({ processes, topology, behaviour, durationMs, seed }: SimulationConfig): string {
  return `${processes} processes (${topology}), behaviour ${behaviour}, ${durationMs / 1000} s of simulated time, seed ${seed}.`;
}

function htmlTable(columns: readonly Column[], rows: readonly StudyRow[]): string {
  const head = ['algorithm', ...columns.map((column) => column.head)].map((text) => `<th>${escape(text)}</th>`);
  const body = rows.map((row) => {
    const cells = [nameOf(row), ...columns.map(({ cell }) => String(cell(row)))];
    return `<tr>${cells.map((text) => `<td>${escape(text)}</td>`).join('')}</tr>`;
  });
  return `<div class="scroll"><table><tr>${head.join('')}</tr>\n${body.join('\n')}</table></div>`;
}

function parameters(config: SimulationConfig): string {
  const line = (name: string, value: unknown): string =>
    typeof value === 'object' && value !== null
      ? Object.entries(value)
          .map(([key, inner]) => line(`${name}.${key}`, inner))
          .join('\n')
      : `<div>${escape(name)} <b>${escape(String(value))}</b></div>`;
  return Object.entries(config)
    .map(([name, value]) => line(name, value))
    .join('\n');
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
