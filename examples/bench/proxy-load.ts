/** The loads that paths between two namespaces are measured with: iperf3 and redis-benchmark, so that no load program of ours is measured. */
import type { VethBed } from './veth-bed.ts';

/** What servers there are: `iperf3 -s`, and a redis-server. */
export type Service = 'bulk' | 'echo';

/** One way from a client to the servers. */
export interface Way {
  readonly bed: VethBed;
  /** Where the client dials. */
  readonly host: string;
  readonly ports: Readonly<Record<Service, number>>;
  /** Processes between the two. */
  readonly proxies: readonly number[];
  /** Resolves when a connection to this service would go the whole way. */
  ready(service: Service): Promise<void>;
  /** How many connections the proxies have carried, where that can be asked. */
  carried?(): Promise<number>;
}

/** What one load of one way gives. */
export interface Result {
  /** In the unit of its {@link Load}. */
  readonly values: Readonly<Record<string, number>>;
  /** How much went through: GB of a bulk load, else thousands of requests. */
  readonly amount: number;
}

export interface Load {
  run(way: Way, seconds: number): Promise<Result>;
}

/** As many requests as take the wanted time, found by a short run before; bounds keep one slow answer from spoiling the guess. */
const PROBE = { requests: 200, most: 500_000 } as const;

function bulk(connections: number): Load {
  return {
    run: async (way, seconds) => {
      await way.ready('bulk');
      const { bed, host, ports } = way;
      const args = ['-J', '-c', host, '-p', `${ports.bulk}`, '-t', `${seconds}`, '-P', `${connections}`];
      const { end } = JSON.parse(await bed.run(bed.client, 'iperf3', ...args)) as {
        end: { sum_received: { bits_per_second: number; bytes: number } };
      };
      return { values: { gbits: end.sum_received.bits_per_second / 1e9 }, amount: end.sum_received.bytes / 1e9 };
    },
  };
}

/** `ECHO` of a redis-server: that many bytes there and back, and a few around them. */
function echo(options: { bytes: number; connections: number; reuse: boolean; most?: number }): Load {
  const { bytes, connections, reuse, most = PROBE.most } = options;
  const once = async ({ bed, host, ports }: Way, requests: number): Promise<Result> => {
    const csv = await bed.run(
      bed.client,
      ...['redis-benchmark', '-h', host, '-p', `${ports.echo}`, '--csv', '-k', reuse ? '1' : '0'],
      ...['-c', `${connections}`, '-n', `${requests}`, 'ECHO', 'x'.repeat(bytes)],
    );
    return { values: benchmarkFigures(csv), amount: requests / 1000 };
  };
  return {
    run: async (way, seconds) => {
      await way.ready('echo');
      const probe = await once(way, PROBE.requests);
      const requests = Math.round((probe.values.rps ?? 0) * seconds);
      const { values, amount } = await once(way, Math.max(PROBE.requests, Math.min(most, requests)));
      // The proxies have worked for both.
      return { values, amount: amount + probe.amount };
    },
  };
}

/** Requests a second, and latencies in µs. @param csv two lines, heads and figures, of which the first (the command) may hold anything */
function benchmarkFigures(csv: string): { rps: number; p50: number; p99: number } {
  const lines = csv.trim().split('\n');
  const [heads, figures] = lines.slice(-2).map((line) => line.split('","').map((cell) => cell.replaceAll('"', '')));
  const value = (name: string): number => {
    const at = (heads ?? []).indexOf(name);
    const number = Number(figures?.[at]);
    if (at < 0 || !Number.isFinite(number)) throw new Error(`redis-benchmark: no ${name} in ${csv}`);
    return number;
  };
  return { rps: value('rps'), p50: value('p50_latency_ms') * 1000, p99: value('p99_latency_ms') * 1000 };
}

/**
 * The new connections stay few enough that ports in TIME_WAIT do not run out (28 000 a minute, and a round of all ways takes longer than that).
 */
const CONNECTIONS_MOST = 6000;

export const LOADS = {
  bulk1: bulk(1),
  bulk8: bulk(8),
  trip: echo({ bytes: 64, connections: 1, reuse: true }),
  requests: echo({ bytes: 1024, connections: 50, reuse: true }),
  connections: echo({ bytes: 16, connections: 10, reuse: false, most: CONNECTIONS_MOST }),
} as const satisfies Record<string, Load>;
