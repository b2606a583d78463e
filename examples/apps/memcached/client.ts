/**
 * A client of memcached that knows what each reply must be: a counter and values on one connection, many commands at once, and new
 * connections all the time. Environment: ../common/traffic.ts.
 */
import { board, checked, lasting, must, passing, pause } from '../common/traffic.ts';
import type { Wire } from '../common/wire.ts';

const BATCH = 16;

async function value(wire: Wire, key: string): Promise<string> {
  const line = await wire.line();
  const [word, name, , length] = line.split(' ');
  if (word !== 'VALUE' || name !== key) throw new Error(`get ${key}: ${line}`);
  const data = (await wire.bytes(Number(length) + 2)).toString('latin1').slice(0, -2);
  must('end of get', await wire.line(), 'END');
  return data;
}

function set(key: string, data: string): string {
  return `set ${key} 0 0 ${data.length}\r\n${data}\r\n`;
}

let count = 0;

lasting('commands', async (wire) => {
  wire.send(set('count', String(count)));
  must('set', await wire.line(), 'STORED');
  for (;;) {
    const first = count + 1;
    const numbers = Array.from({ length: BATCH }, (_, at) => first + at);
    wire.send(numbers.map((n) => `incr count 1\r\n${set(`k${n % 500}`, `value ${n}`)}get k${n % 500}\r\n`).join(''));
    for (const n of numbers) {
      must('incr', await wire.line(), String(n));
      must('set', await wire.line(), 'STORED');
      must('get', await value(wire, `k${n % 500}`), `value ${n}`);
      count = n;
    }
    checked('commands');
    await pause();
  }
});

passing('new connections', async (wire, turn) => {
  wire.send(`${set('fresh', String(turn))}get fresh\r\n`);
  must('set', await wire.line(), 'STORED');
  must('get', await value(wire, 'fresh'), String(turn));
});

board.publish();
