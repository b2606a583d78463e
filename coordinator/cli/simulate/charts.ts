import * as echarts from 'echarts';
import type { EChartsOption } from 'echarts';
import { simulatedAlgorithms } from '../../../src/simulator/families.ts';

/** One colour per algorithm, the same in all charts: the palette of Paul Tol that is told apart with any kind of sight, and greys. */
const COLOURS = [
  '#4477aa',
  '#ee6677',
  '#228833',
  '#ccbb44',
  '#66ccee',
  '#aa3377',
  '#ee7733',
  '#009988',
  '#33337a',
  '#999999',
  '#222222',
];
const WIDTH = 580;
const HEIGHT = 330;

export interface Point {
  /** Label on the axis. */
  readonly at: string;
  /** By algorithm. */
  readonly values: ReadonlyMap<string, number>;
}

export interface LineChart {
  readonly title: string;
  readonly axis: string;
  /** Logarithmic: for what differs by powers of ten. Zero is not drawn then. */
  readonly logarithmic: boolean;
}

/** One line per algorithm, as SVG; undefined if there is nothing but zeros. */
export function lineChart(
  { title, axis, logarithmic }: LineChart,
  algorithms: readonly string[],
  points: readonly Point[],
): string | undefined {
  const all = points.flatMap(({ values }) => [...values.values()]);
  if (all.every((value) => value === 0)) return undefined;
  const shown = (value: number | undefined): number | null =>
    value === undefined || (logarithmic && value <= 0) ? null : Number(value.toPrecision(4));
  return renderSvg(
    {
      title: { text: title, left: 8, top: 4, textStyle: { fontSize: 14, fontWeight: 600 } },
      grid: { top: 42, left: 64, right: 12, bottom: 46 },
      xAxis: {
        type: 'category',
        name: axis,
        nameLocation: 'middle',
        nameGap: 28,
        data: points.map(({ at }) => at),
      },
      yAxis: {
        type: logarithmic ? 'log' : 'value',
        axisLabel: { formatter: (value: number) => short(value) },
        minorSplitLine: { show: false },
      },
      series: algorithms.map((name) => ({
        type: 'line' as const,
        name,
        data: points.map(({ values }) => shown(values.get(name))),
        symbolSize: 5,
        symbol: 'circle',
        color: colourOf(name),
        lineStyle: { type: dashOf(name), width: 1.8 },
      })),
    },
    WIDTH,
    HEIGHT,
  );
}

/** The names with their lines, once for all charts. HTML. */
export function legend(algorithms: readonly string[]): string {
  const entry = (name: string): string => {
    const dash = { solid: '', dashed: ' stroke-dasharray="7 4"', dotted: ' stroke-dasharray="2 3"' }[dashOf(name)];
    const line = `<line x1="0" y1="6" x2="30" y2="6" stroke="${colourOf(name)}" stroke-width="2.5"${dash}/>`;
    return `<span><svg width="30" height="12">${line}</svg> ${name}</span>`;
  };
  return `<p class="legend">${algorithms.map(entry).join(' ')}</p>`;
}

/** Draws on the server: text is laid out by estimate, so the browser needs no script. */
export function renderSvg(option: EChartsOption, width: number, height: number): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({ animation: false, ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

function colourOf(name: string): string {
  return COLOURS[Object.keys(simulatedAlgorithms).indexOf(name) % COLOURS.length] ?? '#000000';
}

/** Coordinated rounds solid, other checkpoints dashed, logs dotted. */
function dashOf(name: string): 'solid' | 'dashed' | 'dotted' {
  const family = simulatedAlgorithms[name];
  if (family?.kind !== 'message') return 'solid';
  return family.algorithm.recovery === 'replay' ? 'dotted' : 'dashed';
}

/** `12k`, `3M` */
function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6}M`;
  return value >= 1e4 ? `${value / 1e3}k` : String(value);
}
