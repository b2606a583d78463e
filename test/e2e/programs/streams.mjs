// The streams that end-to-end tests watch: numbered bytes both ways over many TCP connections, every byte compared. Runs in a container as
// `node --input-type=module -e <this file>`; what it has seen is in /tmp/status.json, written anew five times a second.
//
// Environment: ROLE=server, or ROLE=client with SERVER (a host name) and how many connections of each kind:
//   STEADY       bytes both ways, without end
//   SLOW         the client sends as much as it can, the server reads little at a time: megabytes are queued
//   HALF_CLIENT  the client ends its direction after a while and goes on reading
//   HALF_SERVER  the server does
//   STORM=1      one connection after the other, as fast as possible: 1000 bytes there and back, end
import fs from 'node:fs';
import net from 'node:net';

const PORT = 7000;
const KINDS = { steady: 0, slow: 1, halfClient: 2, halfServer: 3, storm: 4 };
const HEAD_BYTES = 5;
const PERIOD = 65_521;
const TICK_MS = 250;
const HALF_BYTES = 5_000;
const STORM_BYTES = 1_000;

/** Noise without a short period, twice, so that a piece from anywhere is one slice. */
const noise = Buffer.alloc(2 * PERIOD);
for (let at = 0, state = 2_463_534_242; at < PERIOD; at += 1) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  noise[at] = noise[at + PERIOD] = state & 255;
}

/** Bytes `offset` … of direction `way` (0 to the server, 1 to the client) of connection `id`. At most PERIOD. */
function piece(id, way, offset, length) {
  const from = (id * 7_919 + way * 31_337 + offset) % PERIOD;
  return noise.subarray(from, from + length);
}

const seen = {
  role: process.env.ROLE,
  atMs: 0,
  connections: 0,
  sentBytes: 0,
  receivedBytes: 0,
  /** Of the connection that has received least since the last look. */
  errors: [],
  errorCount: 0,
  storms: 0,
  accepted: 0,
  endsSeen: 0,
};
const live = new Map();

function wrong(what) {
  seen.errorCount += 1;
  if (seen.errors.length < 20) seen.errors.push(what);
}

/** Watches and feeds one end of a connection. */
class End {
  constructor(socket, id, kind, server) {
    Object.assign(this, { socket, id, kind, server, sent: 0, received: 0, ended: false, peerEnded: false });
    this.out = server ? 1 : 0;
    this.name = `${server ? 'server' : 'client'} ${id}`;
    live.set(`${this.name}/${socket.remotePort}`, this);
    socket.on('data', (bytes) => this.take(bytes));
    socket.on('end', () => this.peerEnd());
    socket.on('error', (error) => wrong(`${this.name}: ${error.code ?? error.message} after ${this.received} bytes`));
    socket.on('close', () => {
      clearInterval(this.timer);
      live.delete(`${this.name}/${socket.remotePort}`);
      if (kind !== KINDS.storm) wrong(`${this.name}: closed after ${this.received} bytes`);
    });
  }

  take(bytes) {
    for (let at = 0; at < bytes.length; at += PERIOD) {
      const part = bytes.subarray(at, at + PERIOD);
      const expected = piece(this.id, 1 - this.out, this.received, part.length);
      if (part.compare(expected) !== 0)
        wrong(`${this.name}: other bytes than expected in ${part.length} from ${this.received}`);
      this.received += part.length;
      seen.receivedBytes += part.length;
    }
    if (this.server && this.kind === KINDS.slow) {
      this.socket.pause();
      setTimeout(() => this.socket.resume(), 200);
    }
    if (this.kind === KINDS.storm) this.storm();
  }

  write(length) {
    const room = Math.min(length, PERIOD);
    const flows = this.socket.write(piece(this.id, this.out, this.sent, room));
    this.sent += room;
    seen.sentBytes += room;
    return flows;
  }

  end() {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.timer);
    this.socket.end();
  }

  /** An end of the other direction that should not have come, or not yet, is an error. */
  peerEnd() {
    this.peerEnded = true;
    seen.endsSeen += 1;
    const half = this.server ? KINDS.halfClient : KINDS.halfServer;
    if (this.kind === half) {
      if (this.received !== HALF_BYTES) wrong(`${this.name}: the end came after ${this.received} bytes`);
    } else if (this.kind === KINDS.storm) this.end();
    else wrong(`${this.name}: ended after ${this.received} bytes`);
  }

  storm() {
    if (this.received < STORM_BYTES) return;
    if (this.received > STORM_BYTES) wrong(`${this.name}: ${this.received} bytes`);
    if (this.server) this.write(STORM_BYTES);
    else {
      seen.storms += 1;
      this.end();
    }
  }

  start() {
    const half = this.kind === (this.server ? KINDS.halfServer : KINDS.halfClient);
    if (this.kind === KINDS.storm) {
      if (!this.server) this.write(STORM_BYTES);
      return;
    }
    if (this.kind === KINDS.slow && !this.server) {
      const fill = () => {
        while (this.write(32_768));
      };
      this.socket.on('drain', fill);
      fill();
      return;
    }
    this.timer = setInterval(
      () => {
        if (this.ended || this.socket.writableNeedDrain) return;
        this.write(half ? HALF_BYTES / 5 : 200 + ((this.id * 37) % 800));
        if (half && this.sent >= HALF_BYTES) this.end();
      },
      TICK_MS + (this.id % 50),
    );
  }
}

function serve() {
  net
    .createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      seen.accepted += 1;
      socket.once('error', () => undefined);
      socket.once('readable', function head() {
        const bytes = socket.read(HEAD_BYTES);
        if (bytes === null) {
          socket.once('readable', head);
          return;
        }
        new End(socket, bytes.readUInt32BE(0), bytes[4], true).start();
      });
    })
    .listen(PORT, '0.0.0.0', 4_096);
}

let ids = 0;

/** @param again what to do when the connection could not be made, or (storms) has ended */
function dial(kind, again) {
  const id = (ids += 1);
  const socket = net.connect({ host: process.env.SERVER, port: PORT, family: 4, allowHalfOpen: true, noDelay: true });
  const refused = (error) => {
    // Engines learn only some time after a restore what names mean now; a name that is not known is nobody's connection.
    if (error.syscall !== 'getaddrinfo') wrong(`client ${id}: cannot connect: ${error.code ?? error.message}`);
    setTimeout(again, 200);
  };
  socket.once('error', refused);
  socket.once('connect', () => {
    socket.off('error', refused);
    if (kind !== KINDS.storm) seen.connections += 1;
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt32BE(id);
    head[4] = kind;
    socket.write(head);
    new End(socket, id, kind, false).start();
    if (kind === KINDS.storm) socket.once('close', again);
  });
}

function call() {
  const wanted = {
    [KINDS.steady]: process.env.STEADY,
    [KINDS.slow]: process.env.SLOW,
    [KINDS.halfClient]: process.env.HALF_CLIENT,
    [KINDS.halfServer]: process.env.HALF_SERVER,
  };
  for (const [kind, count] of Object.entries(wanted)) {
    for (let number = 0; number < Number(count ?? 0); number += 1) {
      const again = () => dial(Number(kind), again);
      again();
    }
  }
  if (process.env.STORM === '1') {
    const again = () => dial(KINDS.storm, again);
    again();
  }
}

setInterval(() => {
  seen.atMs = Date.now();
  // The connection that is furthest behind tells whether any hangs; half-closed ones receive in one direction only.
  const waiting = [...live.values()].filter((end) => end.kind !== KINDS.storm && !end.peerEnded);
  seen.least = Math.min(...waiting.map((end) => end.received));
  seen.live = live.size;
  fs.writeFileSync('/tmp/status.new', JSON.stringify(seen));
  fs.renameSync('/tmp/status.new', '/tmp/status.json');
}, 200);

if (process.env.ROLE === 'server') serve();
else call();
