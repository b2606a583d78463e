/**
 * Starts ring.py on all tasks of the stack with mpirun and checks each round's line; besides, makes new connections to their ssh servers.
 * Environment: APP_RANKS (`host …`), APP_SUBNET (of the overlay network), ../common/traffic.ts.
 */
import { spawn } from 'node:child_process';
import { lineReader } from '../../pair/lines.ts';
import { againAndAgain, board, checked, forEver, must } from '../common/traffic.ts';
import { dial } from '../common/wire.ts';

const SSH_PORT = 22;
const ranks = (process.env.APP_RANKS ?? 'rank-0 rank-1').split(' ');
const { APP_SUBNET: subnet = '10.91.7.0/24' } = process.env;
const size = ranks.length;
/** Sum of 1 to the number of ranks. */
const weights = (size * (size + 1)) / 2;

forEver('mpirun', async () => {
  const hosts = ranks.map((rank) => `${rank}:1`).join(',');
  const tcp = ['--mca', 'pml', 'ob1', '--mca', 'btl', 'tcp,self', '--mca', 'btl_tcp_if_include', subnet];
  const launch = ['--allow-run-as-root', '--prtemca', 'prte_if_include', subnet, '--host', hosts, '-np', String(size)];
  const child = spawn('mpirun', [...launch, ...tcp, 'python3', '/app/examples/apps/openmpi/ring.py'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const read = lineReader(1000);
  let n = 0;
  child.stdout.on('data', (bytes: Buffer) => {
    for (const line of read(bytes)) {
      n += 1;
      must('round', line, `${n} ${n * weights}`);
      checked('mpirun');
    }
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  throw new Error(`mpirun ended with ${String(code)}`);
});

againAndAgain('new connections', async (turn) => {
  const wire = await dial(ranks[turn % size] ?? '', SSH_PORT);
  const greeting = await wire.line();
  must('greeting', greeting.slice(0, 8), 'SSH-2.0-');
  wire.destroy();
});

board.publish();
