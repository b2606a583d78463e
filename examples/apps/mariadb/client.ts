/**
 * Money goes from account to account, on two connections that are kept and on new ones all the time; a third one that is kept looks at the sum,
 * which is the same in every snapshot of the database. Environment: ../common/traffic.ts.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { againAndAgain, board, checked, forEver, must, pause, port, server, textOf } from '../common/traffic.ts';
import { open } from './wire.ts';
import type { Session } from './wire.ts';

const ACCOUNTS = 100;
const EACH = 1000;
const DATABASE = 'bank';

/** Makes the accounts, as soon as the server is up. */
async function prepare(): Promise<void> {
  for (;;) {
    try {
      const session = await open(server, port, DATABASE);
      await session.query('create or replace table account (id int primary key, balance int not null) engine=innodb');
      const rows = Array.from({ length: ACCOUNTS }, (_, id) => `(${id}, ${EACH})`);
      await session.query(`insert into account values ${rows.join(', ')}`);
      session.end();
      return;
    } catch (error) {
      console.log(`not yet: ${textOf(error)}`);
      await sleep(1000);
    }
  }
}

/** From one account to another, in the order of their ids, so that no two wait for each other. */
async function transfer(session: Session): Promise<void> {
  const low = randomInt(ACCOUNTS - 1);
  const high = low + 1 + randomInt(ACCOUNTS - 1 - low);
  const amount = randomInt(201) - 100;
  await session.query('start transaction');
  await session.query(`update account set balance = balance - ${amount} where id = ${low}`);
  await session.query(`update account set balance = balance + ${amount} where id = ${high}`);
  await session.query('commit');
}

await prepare();

for (const name of ['transfers 1', 'transfers 2']) {
  forEver(name, async () => {
    const session = await open(server, port, DATABASE);
    for (let n = 1; ; n++) {
      await transfer(session);
      must('number', (await session.query(`select ${n}`))[0]?.[0] ?? '', String(n));
      checked(name);
      await pause();
    }
  });
}

forEver('sum', async () => {
  const session = await open(server, port, DATABASE);
  for (;;) {
    must('sum', (await session.query('select sum(balance) from account'))[0]?.[0] ?? '', String(ACCOUNTS * EACH));
    checked('sum');
    await pause();
  }
});

againAndAgain('new connections', async () => {
  const session = await open(server, port, DATABASE);
  await transfer(session);
  session.end();
});

board.publish();
