/**
 * The pair's server: sends each numbered line back, and checks that a connection's numbers come one after the other.
 * Environment: PAIR_HOST (0.0.0.0), PAIR_PORT (7000), and those of status.ts.
 */
import { createServer } from 'node:net';
import { lineReader } from './lines.ts';
import { StatusBoard } from './status.ts';

const { PAIR_HOST: host = '0.0.0.0', PAIR_PORT: port = '7000' } = process.env;
const board = new StatusBoard('pair-server');
let connections = 0;

createServer((socket) => {
  const read = lineReader();
  let last: number | undefined;
  connections += 1;
  board.reconnects = connections - 1;
  board.connected();
  socket.setNoDelay(true);
  socket.on('data', (bytes) => {
    try {
      for (const line of read(bytes)) {
        const n = Number(line);
        if (last !== undefined && n !== last + 1) board.error(`got ${line} after ${last}`);
        last = n;
        board.answered(n);
        socket.write(`${line}\n`);
      }
    } catch (error) {
      board.error(String(error));
      socket.destroy();
    }
  });
  socket.on('error', (error) => board.error(`after ${String(last)}: ${error.message}`));
  socket.on('close', (hadError) => {
    if (!hadError) board.error(`connection closed after ${String(last)}`);
    board.connectedSinceMs = null;
  });
}).listen(Number(port), host);
board.publish();
