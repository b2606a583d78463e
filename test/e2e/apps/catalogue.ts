/** The applications of examples/apps, and what is done to each. */
import type { AppFamily } from '../../../examples/testbed/index.ts';

export interface App {
  /** Folder in examples/apps. */
  readonly id: string;
  /** For people. */
  readonly title: string;
  /** What its client does, in a few words. */
  readonly traffic: string;
  /** Images besides the examples' own. */
  readonly images: readonly AppFamily[];
  /** Service and command that tell its version. */
  readonly version: readonly [service: string, ...argv: string[]];
}

export const APPS: readonly App[] = [
  {
    id: 'redis',
    title: 'redis',
    traffic: 'batches of 96 pipelined commands; publish and subscribe',
    images: [],
    version: ['redis', 'redis-server', '--version'],
  },
  {
    id: 'haproxy',
    title: 'haproxy, node',
    traffic: 'HTTP kept alive on both sides; WebSocket',
    images: [],
    version: ['haproxy', 'haproxy', '-v'],
  },
  {
    id: 'nginx',
    title: 'nginx, node',
    traffic: 'HTTP kept alive on both sides; WebSocket',
    images: ['servers'],
    version: ['nginx', 'nginx', '-v'],
  },
  {
    id: 'python',
    title: 'python multiprocessing',
    traffic: 'pools of processes (fork, spawn) with shared memory and locks',
    images: [],
    version: ['server', 'python3', '--version'],
  },
  {
    id: 'memcached',
    title: 'memcached',
    traffic: 'batches of 48 commands, four threads',
    images: ['servers'],
    version: ['memcached', 'memcached', '-V'],
  },
  {
    id: 'nats',
    title: 'NATS',
    traffic: 'publish and subscribe; request and reply',
    images: ['servers'],
    version: ['nats', 'nats-server', '--version'],
  },
  {
    id: 'go',
    title: 'Go, net/http',
    traffic: 'HTTP kept alive; two dozen goroutines',
    images: ['go'],
    version: ['server', 'sh', '-c', 'grep -ao "go1[.][0-9]*[.][0-9]*" /usr/local/bin/go-server'],
  },
  {
    id: 'etcd',
    title: 'etcd, three members',
    traffic: 'a write with one member is read from the next',
    images: ['servers'],
    version: ['etcd-1', 'etcd', '--version'],
  },
  {
    id: 'java',
    title: 'Java, jdk.httpserver',
    traffic: 'HTTP kept alive; garbage to collect',
    images: ['java'],
    version: ['server', 'java', '--version'],
  },
  {
    id: 'postgres',
    title: 'PostgreSQL',
    traffic: 'pgbench (TPC-B), kept and new connections; the sums',
    images: ['postgres'],
    version: ['postgres', 'sh', '-c', '/usr/lib/postgresql/*/bin/postgres --version'],
  },
  {
    id: 'mariadb',
    title: 'MariaDB',
    traffic: 'transactions between accounts; the sum',
    images: ['mariadb'],
    version: ['mariadb', 'mariadbd', '--version'],
  },
  {
    id: 'rabbitmq',
    title: 'RabbitMQ',
    traffic: 'a queue with receipts and acknowledgements (STOMP)',
    images: ['rabbitmq'],
    version: ['rabbitmq', 'sh', '-c', 'ls -d /usr/lib/rabbitmq/lib/rabbitmq_server-*'],
  },
  {
    id: 'openmpi',
    title: 'OpenMPI over TCP',
    traffic: 'a ring and an allreduce of four ranks on two tasks',
    images: ['openmpi'],
    version: ['rank-0', 'mpirun', '--version'],
  },
];

/** Those that run through a Swarm's snapshots in the two ways: by the kernel's colours, and through sidecars. */
export const ALGORITHMS = ['lai-yang', 'chandy-lamport'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export const OPERATIONS = ['snapshot', 'rollback', 'elsewhere', 'migration'] as const;
export type Operation = (typeof OPERATIONS)[number];
