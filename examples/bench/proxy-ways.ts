/** The ways that the proxy bench compares: direct, through two haproxy, through two sidecars. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectDir } from '../testbed/layout.ts';
import type { Service, Way } from './proxy-load.ts';
import { VethBed, until } from './veth-bed.ts';
import type { Side } from './veth-bed.ts';

/** Networks for documentation (RFC 5737): nobody's. */
const PREFIXES = { plain: '192.0.2', sidecars: '198.51.100' } as const;
const PORTS = { bulk: 5201, echo: 6379 } as const;
/** Where the haproxy of each side listens, for the same services. */
const PROXY_PORTS = { bulk: 15_201, echo: 16_379 } as const;
const SERVICES = ['bulk', 'echo'] as const;

/** What is used of agent/sidecars/interceptor.ts. Taken from the build at run time: examples know the programs, not their parts. */
interface Interceptor {
  readonly pid: number | undefined;
  attach(): Promise<void>;
  call(method: string, params?: unknown): Promise<unknown>;
  detach(): Promise<void>;
}
type InterceptorClass = new (options: object) => Interceptor;

export interface Ways {
  readonly direct: Way;
  readonly haproxy: Way;
  readonly sidecars: Way;
}

/** Starts all of them. @param root the cached root, with haproxy, iperf3 and redis */
export async function startWays(
  root: string,
  signal: AbortSignal,
): Promise<{ readonly ways: Ways; readonly close: () => Promise<void> }> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  const makeBed = async (prefix: string): Promise<VethBed> => {
    const bed = await VethBed.make({ root, prefix, signal });
    closing.push(() => bed.close());
    await startServers(bed);
    return bed;
  };
  try {
    const plain = await makeBed(PREFIXES.plain);
    const direct: Way = { bed: plain, host: plain.server.address, ports: PORTS, proxies: [], ready: listens(plain) };
    const haproxies = await startHaproxies(plain);
    const bed = await makeBed(PREFIXES.sidecars);
    const sidecars = await startSidecars(bed, signal, (end) => closing.push(end));
    return {
      ways: {
        direct,
        haproxy: { ...direct, host: '127.0.0.1', ports: PROXY_PORTS, proxies: haproxies },
        sidecars,
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startServers(bed: VethBed): Promise<void> {
  await bed.daemon(bed.server, PORTS.bulk, 'iperf3', '-s', '-p', `${PORTS.bulk}`);
  const memoryOnly = ['--save', '', '--appendonly', 'no', '--protected-mode', 'no'];
  await bed.daemon(bed.server, PORTS.echo, 'redis-server', '--port', `${PORTS.echo}`, '--dir', '/tmp', ...memoryOnly);
}

/** iperf3 listens anew for each client. */
function listens(bed: VethBed): Way['ready'] {
  return (service) => bed.listening(bed.server, PORTS[service]);
}

/** One on each side, as a sidecar is: the client's own knows the way to the other, the other one to the server. */
async function startHaproxies(bed: VethBed): Promise<number[]> {
  const start = async (side: Side, name: string, listen: string, to: (service: Service) => string): Promise<number> => {
    const lines = [
      // All else is as it comes.
      'defaults',
      '  mode tcp',
      '  timeout connect 5s',
      '  timeout client 1m',
      '  timeout server 1m',
      ...SERVICES.map(
        (service) => `listen ${service}\n  bind ${listen}:${PROXY_PORTS[service]}\n  server one ${to(service)}`,
      ),
    ];
    await writeFile(path.join(bed.folder, `${name}.cfg`), `${lines.join('\n')}\n`);
    const { pid } = await bed.daemon(side, PROXY_PORTS.echo, 'haproxy', '-db', '-q', '-f', `/mnt/${name}.cfg`);
    return pid;
  };
  const { client, server } = bed;
  return [
    await start(client, 'client', '127.0.0.1', (service) => `${server.address}:${PROXY_PORTS[service]}`),
    await start(server, 'server', server.address, (service) => `127.0.0.1:${PORTS[service]}`),
  ];
}

/** One for each side, and what an agent would tell them of the other. */
async function startSidecars(
  bed: VethBed,
  signal: AbortSignal,
  atEnd: (end: () => Promise<void>) => void,
): Promise<Way> {
  const build = path.join(projectDir(), 'dist/agent/sidecars');
  const load = async <T>(file: string): Promise<T> => (await import(pathToFileURL(path.join(build, file)).href)) as T;
  const { ProxyInterceptor } = await load<{ ProxyInterceptor: InterceptorClass }>('interceptor.js');
  const { PROXY_TABLE } = await load<{ PROXY_TABLE: string }>('../linux/proxy-table.js');
  const key = randomBytes(32);
  const start = async (name: 'client' | 'server'): Promise<Interceptor> => {
    const { netns, pid, address } = bed[name];
    const interceptor = new ProxyInterceptor({
      ...{ netns, pid, key, epoch: 0, task: name, subnets: [bed.subnet], own: [{ address, network: 'bench' }] },
      ...{ socket: path.join(bed.folder, `${name}.sock`), logFile: path.join(bed.folder, `${name}.log`) },
    });
    atEnd(() => interceptor.detach());
    await interceptor.attach();
    return interceptor;
  };
  const sidecars = [await start('client'), await start('server')] as const;
  const tasks = (['client', 'server'] as const).map((service) => ({
    address: bed[service].address,
    service,
    own: true,
  }));
  for (const sidecar of sidecars)
    await sidecar.call('networkView', { subnets: [bed.subnet], tasks, vips: [], nonPeers: [] });

  const known = async (port: number): Promise<boolean> => {
    const set = await bed.tool(bed.client, 'nft', 'list', 'set', ...PROXY_TABLE.split(' '), 'listening');
    return set.includes(`${bed.server.address} . ${port}`);
  };
  return {
    bed,
    host: bed.server.address,
    ports: PORTS,
    proxies: sidecars.map(({ pid }) => pid ?? -1),
    ready: async (service) => {
      await listens(bed)(service);
      await until(`the sidecars' knowledge of port ${PORTS[service]}`, () => known(PORTS[service]), signal);
    },
    carried: async () => ((await sidecars[0].call('status')) as { carried: number }).carried,
  };
}
