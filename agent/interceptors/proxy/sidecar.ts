import { randomBytes } from 'node:crypto';
import type { Server } from 'node:net';
import { ChandyLamportParticipant, DEFAULT_RECORD_LIMIT_BYTES } from '../../../src/algorithms/chandy-lamport.ts';
import { endpointText } from '../../../src/model/connection.ts';
import type { Endpoint } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import { ACCEPT_BYTES, HELLO_BYTES, NONCE_BYTES, OPEN_BYTES } from '../../../src/wire/preface.ts';
import { decodeHello, encodeHello } from '../../../src/wire/preface.ts';
import type { AcceptStatus, OpenMessage } from '../../../src/wire/preface.ts';
import { signAccept, signOpen, verifyAccept, verifyOpen } from './handshake.ts';
import { Link } from './link.ts';
import type { Peers } from './peers.ts';
import { RoundRunner } from './round.ts';
import type { RoundHost, RoundRecord } from './round.ts';
import { PORTS } from './rules.ts';
import { adoptHandle, connectFrom, listenIn } from './sockets.ts';
import { Stream } from './stream.ts';
import type { StreamIdentity } from './stream.ts';
import { localEnd, remoteEnd } from './sys.ts';

/** Somebody who connects and says nothing is not waited for longer. */
const HANDSHAKE_TIMEOUT_MS = 5_000;

/** Most tunnels whose opener has not yet proved itself. */
const MAX_UNPROVED = 1_024;

export interface SidecarOptions {
  /** The task's network namespace. */
  readonly netns: string;
  /** The task, for logs and reports. */
  readonly task: string;
  /** The stack's key, see handshake.ts. */
  readonly key: Uint8Array;
  /** The epoch that the task has reached. */
  readonly epoch: number;
  /** Who is linked with this sidecar, and where virtual addresses lead. Without it connections go where they were meant to. */
  readonly peers?: Pick<Peers, 'accept' | 'admit' | 'target'>;
  readonly log: (message: string, details: object) => void;
}

export interface RoundOptions {
  readonly epoch: number;
  /** A local checkpoint that is not over after this long is aborted. Milliseconds. */
  readonly deadlineMs: number;
  /** Stay frozen after the save until told (migration). */
  readonly keepFrozen: boolean;
  /** Take the sidecar's ends of the local connections too (repair.ts). */
  readonly takeEnds?: boolean;
  /** Per channel, bytes. */
  readonly recordLimitBytes?: number;
}

/**
 * The data plane of one task: takes the connections that the rules bring, carries them to the sidecar of the other end, and runs the
 * Chandy-Lamport participant on them. All on one thread: what is done in one piece is atomic for every stream.
 */
export class Sidecar {
  readonly #options: SidecarOptions;
  readonly #streams = new Map<string, Stream>();
  /** Channels that the algorithm knows, with their direction. */
  readonly #channels = new Map<string, { readonly stream: string; readonly direction: 'in' | 'out' }>();
  readonly #servers: Server[] = [];
  readonly #unproved = new Set<Link>();
  #waiting: (() => void)[] = [];
  #held = false;
  /** Streams since the start. */
  #carried = 0;
  #epoch: number;
  #round: RoundRunner | undefined;

  constructor(options: SidecarOptions) {
    this.#options = options;
    this.#epoch = options.epoch;
  }

  /** @throws SystemCallError when the namespace is gone or a port is taken */
  async listen(): Promise<void> {
    const { netns } = this.#options;
    this.#servers.push(
      await listenIn(netns, PORTS.capture, true, (handle) => this.#guard(() => this.#captured(handle))),
    );
    this.#servers.push(await listenIn(netns, PORTS.tunnel, false, (handle) => this.#guard(() => this.#called(handle))));
  }

  get held(): boolean {
    return this.#held;
  }

  /** The epoch that the task has reached. */
  get epoch(): number {
    return this.#epoch;
  }

  status(): object {
    return {
      task: this.#options.task,
      pid: process.pid,
      epoch: this.#epoch,
      held: this.#held,
      streams: this.#streams.size,
      carried: this.#carried,
      rssBytes: process.memoryUsage.rss(),
      ...(this.#round && { round: { epoch: this.#round.epoch, busy: this.#round.busy, outcome: this.#round.outcome } }),
    };
  }

  channels(): readonly object[] {
    return [...this.#streams.values()].map((stream) => stream.describe());
  }

  /** Stops reading from the application and delivering to it. What comes from peers waits. */
  hold(): void {
    this.#held = true;
    for (const stream of this.#streams.values()) stream.update();
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    for (const stream of this.#streams.values()) stream.release();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Gets ready for a round. An earlier one that is still open is given up. */
  async prepare(options: RoundOptions, host: RoundHost): Promise<void> {
    await this.#round?.close();
    const recordLimitBytes = options.recordLimitBytes ?? DEFAULT_RECORD_LIMIT_BYTES;
    const participant = new ChandyLamportParticipant({
      process: this.#options.task,
      epoch: options.epoch - 1,
      deadlineMs: options.deadlineMs,
      keepFrozen: options.keepFrozen,
      recordLimitBytes,
    });
    const round = new RoundRunner(options.epoch, participant, {
      streams: {
        byChannel: (channel) => this.#streams.get(this.#channels.get(channel)?.stream ?? ''),
        all: () => this.#streams.values(),
        hold: () => this.hold(),
        release: () => this.release(),
        reach: (epoch) => (this.#epoch = epoch),
      },
      host,
      recordLimitBytes,
      takeEnds: options.takeEnds === true,
      log: this.#options.log,
    });
    this.#round = round;
    // First in the queue: channels that come from here on are fed behind these.
    for (const [channel, { direction }] of this.#channels)
      void round.feed({ kind: 'opened', channel, direction, epoch: options.epoch - 1 });
    await round.feed({ kind: 'prepare', epoch: options.epoch });
  }

  async start(epoch: number): Promise<void> {
    await this.#currentRound(epoch).feed({ kind: 'start', epoch });
  }

  async releaseRound(epoch: number): Promise<void> {
    await this.#currentRound(epoch).feed({ kind: 'release' });
  }

  async abort(reason: string): Promise<void> {
    await this.#round?.feed({ kind: 'abort', reason });
  }

  record(epoch: number): RoundRecord {
    return this.#currentRound(epoch).record;
  }

  /** Forgets the round and what it recorded. */
  async finish(): Promise<void> {
    await this.#round?.close();
    this.#round = undefined;
  }

  /** Ends every connection with a reset. */
  close(): void {
    for (const server of this.#servers) server.close();
    for (const link of this.#unproved) link.reset();
    for (const stream of [...this.#streams.values()]) stream.destroy();
  }

  #currentRound(epoch: number): RoundRunner {
    if (this.#round?.epoch !== epoch) throw new Error(`no round ${epoch} is prepared at ${this.#options.task}`);
    return this.#round;
  }

  /** TPROXY has brought a connection of the task: its local end is where the task wanted to go. */
  #captured(handle: object): void {
    const app = new Link((onread) => adoptHandle(handle, onread));
    const client = remoteEnd(app.fd);
    const server = localEnd(app.fd);
    if (server.port === PORTS.capture) {
      app.reset(); // somebody has called us, not another task
      return;
    }
    const { netns, peers } = this.#options;
    const target = peers ? peers.target(server) : server;
    if (!target) {
      app.reset(); // the last one behind this virtual address has just stopped listening
      return;
    }
    const identity: StreamIdentity = { id: randomBytes(16).toString('hex'), role: 'opener', client, server };
    const tunnel = new Link((onread) =>
      connectFrom(netns, { address: target.address, port: PORTS.tunnel }, undefined, onread),
    );
    const stream = this.#add(new Stream(identity, app, tunnel, this.#owner()));
    const timer = setTimeout(() => {
      this.#options.log('no answer from the other sidecar', { server: endpointText(server) });
      stream.destroy();
    }, HANDSHAKE_TIMEOUT_MS);
    stream.expect(HELLO_BYTES, (hello) =>
      this.#guard(() => void this.#offer(stream, target, decodeHello(hello), timer), stream),
    );
  }

  /** The algorithm hears of the two channels before the peer can. */
  async #offer(stream: Stream, target: Endpoint, acceptorNonce: Uint8Array, timer: NodeJS.Timeout): Promise<void> {
    await this.#opened(stream.identity, this.#epoch);
    await this.#released();
    const { id: streamId, client } = stream.identity;
    const open = signOpen(this.#options.key, acceptorNonce, {
      role: 'new',
      epoch: this.#epoch,
      streamId,
      client,
      server: target,
      received: 0,
      nonce: randomBytes(NONCE_BYTES),
    });
    // The peer may be frozen by now: the kernel's time-outs are the application's business from here on.
    clearTimeout(timer);
    stream.announce(open);
    stream.expect(ACCEPT_BYTES, (bytes) =>
      this.#guard(() => {
        const accept = verifyAccept(this.#options.key, open, bytes);
        if (accept.status !== 'accepted') {
          stream.destroy();
          return;
        }
        // The acceptor may have cut before it accepted: then this acts as its marker.
        void this.#marker(stream, accept.epoch).then(() => stream.open());
      }, stream),
    );
  }

  /** Another sidecar, or a stranger, has called. */
  #called(handle: object): void {
    const tunnel = new Link((onread) => adoptHandle(handle, onread));
    if (this.#unproved.size >= MAX_UNPROVED) {
      tunnel.reset();
      return;
    }
    this.#unproved.add(tunnel);
    const giveUp = (): void => {
      clearTimeout(timer);
      this.#unproved.delete(tunnel);
      tunnel.reset();
    };
    const timer = setTimeout(giveUp, HANDSHAKE_TIMEOUT_MS);
    const nonce = randomBytes(NONCE_BYTES);
    let bytes = Buffer.alloc(0);
    tunnel.handle(
      (read) => {
        bytes = Buffer.concat([bytes, read]);
        if (bytes.length < OPEN_BYTES) return;
        tunnel.reading = false;
        clearTimeout(timer);
        this.#unproved.delete(tunnel);
        const message = bytes.subarray(0, OPEN_BYTES);
        try {
          const open = verifyOpen(this.#options.key, nonce, message);
          void this.#accept(tunnel, open, message, bytes.subarray(OPEN_BYTES));
        } catch (error) {
          this.#options.log('a stream was refused', { error: messageOf(error) });
          tunnel.reset();
        }
      },
      { drained: () => undefined, ended: giveUp, finished: () => undefined, closed: giveUp },
    );
    tunnel.write(encodeHello(nonce));
    tunnel.reading = true;
  }

  async #accept(tunnel: Link, open: OpenMessage, message: Buffer, early: Buffer): Promise<void> {
    const { peers } = this.#options;
    const answer = (status: AcceptStatus): Uint8Array =>
      signAccept(this.#options.key, message, { status, epoch: this.#epoch, received: 0 });
    if (open.role === 'peer') {
      if (peers) await peers.accept(tunnel, open, early, answer);
      else tunnel.reset();
      return;
    }
    if (open.role !== 'new' || this.#streams.has(open.streamId)) {
      tunnel.write(answer('unknown-stream'));
      tunnel.end();
      return;
    }
    await peers?.admit(open.client.address);
    const identity: StreamIdentity = { id: open.streamId, role: 'acceptor', client: open.client, server: open.server };
    // Opened after its opener's cut, the stream makes this task cut before the application hears of it.
    await this.#opened(identity, open.epoch);
    await this.#released();
    const refuse = (error: unknown): void => {
      this.#options.log('the application refuses', { to: endpointText(open.server), error: messageOf(error) });
      this.#forget(identity, false);
      tunnel.write(answer('refused'));
      tunnel.end();
    };
    try {
      const app = new Link((onread) => connectFrom(this.#options.netns, open.server, open.client, onread));
      app.socket.once('error', refuse);
      app.socket.once('connect', () => {
        app.socket.off('error', refuse);
        if (tunnel.gone) {
          app.reset();
          this.#forget(identity, true);
          return;
        }
        const stream = this.#add(new Stream(identity, app, tunnel, this.#owner()));
        stream.announce(answer('accepted'));
        stream.open(early);
      });
    } catch (error) {
      refuse(error);
    }
  }

  #add(stream: Stream): Stream {
    this.#streams.set(stream.identity.id, stream);
    this.#carried += 1;
    return stream;
  }

  async #opened(identity: StreamIdentity, inEpoch: number): Promise<void> {
    const opener = identity.role === 'opener';
    const incoming = `${identity.id}${opener ? '<' : '>'}`;
    const outgoing = `${identity.id}${opener ? '>' : '<'}`;
    this.#channels.set(incoming, { stream: identity.id, direction: 'in' });
    this.#channels.set(outgoing, { stream: identity.id, direction: 'out' });
    const round = this.#round;
    if (!round) return;
    // Epochs of no round of ours (a sidecar that was started anew knows none) say nothing.
    const epoch = inEpoch === round.epoch && !opener ? inEpoch : round.epoch - 1;
    await round.feed({ kind: 'opened', channel: incoming, direction: 'in', epoch });
    await round.feed({ kind: 'opened', channel: outgoing, direction: 'out', epoch });
  }

  #forget(identity: StreamIdentity, lost: boolean): void {
    for (const channel of [`${identity.id}>`, `${identity.id}<`]) {
      if (this.#channels.has(channel)) void this.#round?.feed({ kind: lost ? 'peer-lost' : 'closed', channel });
      this.#channels.delete(channel);
    }
  }

  #owner(): ConstructorParameters<typeof Stream>[3] {
    const held = (): boolean => this.#held;
    return {
      get held() {
        return held();
      },
      marker: (stream, epoch) => this.#marker(stream, epoch),
      recorded: (stream, bytes) => this.#round?.recorded(stream.channels.in, bytes),
      closed: (stream, lost) => {
        if (this.#streams.delete(stream.identity.id)) this.#forget(stream.identity, lost);
      },
      log: this.#options.log,
    };
  }

  /** Markers of no round of ours are left over from an aborted one. */
  async #marker(stream: Stream, epoch: number): Promise<void> {
    if (this.#round?.epoch === epoch) await this.#round.feed({ kind: 'marker', channel: stream.channels.in, epoch });
  }

  /** A held sidecar begins nothing new. */
  async #released(): Promise<void> {
    while (this.#held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** One connection's error must not end the others. */
  #guard(work: () => void, stream?: Stream): void {
    try {
      work();
    } catch (error) {
      this.#options.log('a connection failed', { error: messageOf(error) });
      stream?.destroy();
    }
  }
}
