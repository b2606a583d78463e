/**
 * pgbench (TPC-B) on four connections that are kept, transactions of the same kind on new ones all the time, and the sums, which agree in
 * every snapshot of the database: of accounts, tellers, branches, and of the history. Environment: ../common/traffic.ts.
 */
import { execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { lineReader } from '../../pair/lines.ts';
import { againAndAgain, board, checked, forEver, must, pause, port, server, textOf } from '../common/traffic.ts';
import { open } from './wire.ts';

const ACCOUNTS = 100_000;
const TELLERS = 10;
const DATABASE = 'postgres';
const WHERE = ['-h', server, '-p', String(port), '-U', 'postgres'];

const SUMS = `select (select coalesce(sum(abalance), 0) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers),
  (select sum(bbalance) from pgbench_branches), (select coalesce(sum(delta), 0) from pgbench_history)`;

/** Makes the tables, as soon as the server is up. */
async function prepare(): Promise<void> {
  for (;;) {
    try {
      await promisify(execFile)('pgbench', [...WHERE, '-i', '-q', '-s', '1', DATABASE]);
      return;
    } catch (error) {
      console.log(`not yet: ${textOf(error)}`);
      await sleep(1000);
    }
  }
}

function transaction(): string {
  const [account, teller, delta] = [randomInt(ACCOUNTS) + 1, randomInt(TELLERS) + 1, randomInt(10_001) - 5000];
  return `begin; update pgbench_accounts set abalance = abalance + ${delta} where aid = ${account};
    update pgbench_tellers set tbalance = tbalance + ${delta} where tid = ${teller};
    update pgbench_branches set bbalance = bbalance + ${delta} where bid = 1;
    insert into pgbench_history (tid, bid, aid, delta, mtime) values (${teller}, 1, ${account}, ${delta}, now()) returning delta = ${delta};
    commit`;
}

await prepare();

forEver('pgbench', async () => {
  const child = spawn('pgbench', [...WHERE, '-n', '-c', '4', '-T', '1000000', '-P', '1', DATABASE], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const read = lineReader(1000);
  child.stderr.on('data', (bytes: Buffer) => {
    for (const line of read(bytes)) {
      if (!line.startsWith('progress: ') || !line.endsWith(' 0 failed')) board.error(`pgbench: ${line}`);
      else checked('pgbench');
    }
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  throw new Error(`pgbench ended with ${String(code)}`);
});

forEver('sums', async () => {
  const session = await open(server, port, DATABASE);
  for (;;) {
    const [accounts = '', ...others] = (await session.query(SUMS))[0] ?? [];
    for (const other of others) must('sums', other, accounts);
    checked('sums');
    await pause();
    // A hundred thousand rows each time: not without a rest.
    await sleep(200);
  }
});

againAndAgain('new connections', async () => {
  const session = await open(server, port, DATABASE);
  must('history', (await session.query(transaction()))[0]?.[0] ?? '', 't');
  session.end();
});

board.publish();
