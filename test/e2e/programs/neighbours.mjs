// Two programs that know each other by address: what end-to-end tests of new connections and of datagrams watch. Runs in a container as
// `node --input-type=module -e <this file>`; what it has seen is in /tmp/status.json, written anew five times a second.
//
// ROLE=server: echoes on TCP 7000 and UDP 7001. ROLE=client: asks for SERVER's address once and remembers it; makes a new connection four times a
// second, and has one connected UDP socket.
import dgram from 'node:dgram';
import dns from 'node:dns/promises';
import fs from 'node:fs';
import net from 'node:net';

const TCP_PORT = 7000;
const UDP_PORT = 7001;
const TICK_MS = 250;
/** A connection that is not made by then counts as hung. */
const HUNG_MS = 10_000;
const { ROLE, SERVER } = process.env;
const seen = { role: ROLE, address: '', dialled: 0, refused: 0, hung: 0, heard: 0, served: 0 };

setInterval(() => {
  fs.writeFileSync('/tmp/status.next', JSON.stringify(seen));
  fs.renameSync('/tmp/status.next', '/tmp/status.json');
}, 200);

if (ROLE === 'server') {
  net
    .createServer((socket) => {
      seen.served += 1;
      socket.on('error', () => undefined);
      socket.pipe(socket);
    })
    .listen(TCP_PORT);
  const echo = dgram.createSocket('udp4');
  echo.on('message', (message, from) => echo.send(message, from.port, from.address));
  echo.bind(UDP_PORT);
} else {
  seen.address = await addressOf(SERVER);
  const socket = dgram.createSocket('udp4');
  socket.on('message', () => (seen.heard += 1));
  socket.on('error', () => undefined);
  socket.connect(UDP_PORT, seen.address);
  socket.once('connect', () => setInterval(() => socket.send('x', () => undefined), TICK_MS));
  dial();
}

async function addressOf(name) {
  for (;;) {
    const found = await dns.lookup(name).catch(() => undefined);
    if (found !== undefined) return found.address;
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
}

function dial() {
  const socket = net.connect(TCP_PORT, seen.address, () => socket.write('x'));
  const over = (outcome) => {
    clearTimeout(patience);
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    socket.destroy();
    seen[outcome] += 1;
    setTimeout(dial, TICK_MS);
  };
  const patience = setTimeout(over, HUNG_MS, 'hung');
  socket.once('data', () => over('dialled'));
  socket.once('error', () => over('refused'));
  socket.once('close', () => over('refused'));
}
