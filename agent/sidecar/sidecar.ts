import { messageOf } from '../../src/model/errors.ts';
import type { SidecarStatus } from '../../src/rpc/control/methods.ts';
import { acceptStream, hear, hearNext } from './streams/accepting.ts';
import type { Call } from './streams/accepting.ts';
import type { Offer } from './peers/call.ts';
import { CapturedSet } from './capture/captured-set.ts';
import { Link } from './sockets/link.ts';
import type { LinkSocket } from './sockets/link.ts';
import { openStream } from './streams/opening.ts';
import type { CallerOptions } from './streams/opening.ts';
import type { Peers } from './peers/peers.ts';
import { Resuming } from './checkpoint/resuming.ts';
import type { StreamRestoreOptions } from './checkpoint/resuming.ts';
import { SidecarRounds } from './checkpoint/rounds.ts';
import { PORTS } from '../linux/proxy-table.ts';
import { listenIn } from './sockets/sockets.ts';
import type { Closable } from './sockets/sockets.ts';
import { newStreamId } from './streams/stream-identity.ts';
import type { StreamIdentity } from './streams/stream-identity.ts';
import { Streams } from './streams/streams.ts';
import type { Tunnels } from './sockets/tunnels.ts';
import { localEnd, remoteEnd } from '../linux/sys.ts';

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
  /** The task's addresses in the stack's networks. */
  readonly own?: readonly string[];
  /** Who is linked with this sidecar, and where virtual addresses lead. Without it connections go where they were meant to. */
  readonly peers?: Pick<Peers, 'accept' | 'admit' | 'target' | 'check' | 'who'>;
  /** Gets all tunnels. */
  readonly tunnels: Tunnels;
  /** The task is a restored one. */
  readonly restore?: StreamRestoreOptions;
  readonly log: (message: string, details: object) => void;
}

/**
 * The data plane of one task: takes the connections that the rules bring, and carries them to the sidecar of the other end.
 */
export class Sidecar {
  readonly rounds: SidecarRounds;
  readonly #options: SidecarOptions;
  readonly #streams: Streams;
  readonly #captured: CapturedSet;
  readonly #resuming: Resuming;
  readonly #caller: CallerOptions;
  readonly #servers: Closable[] = [];
  readonly #unproved = new Set<Link>();
  #blockTimer: NodeJS.Timeout | undefined;

  constructor(options: SidecarOptions) {
    const { netns, key, log, epoch, task, own = [], peers, tunnels } = options;
    this.#options = options;
    this.#caller = { netns, key, log, tunnels, ...(peers && { target: (server) => peers.target(server) }) };
    this.#captured = new CapturedSet(netns);
    this.#streams = new Streams(epoch, options.restore !== undefined, {
      log,
      park: (stream) => this.#resuming.park(stream),
      free: ({ identity }, tunnel, rest) => this.#freed(identity, tunnel, rest),
      left: (stream) => this.#resuming.wait(stream),
      closed: (stream) => this.#resuming.closed(stream),
      who: (address) => peers?.who(address) ?? address,
    });
    this.#resuming = new Resuming(this.#streams, this.#captured, { ...this.#caller, own });
    const coming = (): number => this.#resuming.coming;
    const unknownPeers = async (withinMs: number): Promise<string[]> => (await peers?.check(withinMs)) ?? [];
    this.rounds = new SidecarRounds({ task, netns, streams: this.#streams, coming, unknownPeers, log });
  }

  /**
   * With a record: makes its connections first, blocked until {@link resume}.
   * @throws SystemCallError when the namespace is gone or a port is taken; and what Resuming.restore throws
   */
  async listen(): Promise<void> {
    const { netns, restore } = this.#options;
    if (restore) await this.#resuming.restore(restore);
    this.#servers.push(listenIn(netns, PORTS.capture, 'app', (socket) => this.#captureOne(socket)));
    this.#servers.push(listenIn(netns, PORTS.tunnel, 'tunnel', (socket) => void this.#called(socket)));
  }

  /** The epoch that the task has reached. */
  get epoch(): number {
    return this.#streams.epoch;
  }

  /**
   * Stops reading from the application and delivering to it; nothing new is offered or accepted. What comes from peers waits.
   * @param forMs goes on by itself after so long, should nobody be there any more to say so; a repeated call begins anew
   */
  block(forMs: number): void {
    clearTimeout(this.#blockTimer);
    this.#blockTimer = setTimeout(() => this.release(), forMs);
    this.#streams.block();
  }

  /** The end of {@link block}; what a round or a restore blocks stays blocked. */
  release(): void {
    if (this.#blockTimer === undefined) return;
    clearTimeout(this.#blockTimer);
    this.#blockTimer = undefined;
    this.#streams.release();
  }

  /** The restored task's connections go on. After its block is open. */
  resume(): void {
    this.#resuming.resume();
  }

  status(): Omit<SidecarStatus, 'peers' | 'direct'> {
    const { epoch, blocked, size, carried, round } = this.#streams;
    return {
      task: this.#options.task,
      pid: process.pid,
      epoch,
      blocked,
      streams: size,
      carried,
      awaiting: this.rounds.awaiting.length,
      rssBytes: process.memoryUsage.rss(),
      ...(round && {
        round: { epoch: round.epoch, busy: round.busy, outcome: round.outcome, awaited: this.rounds.awaited },
      }),
    };
  }

  channels(): readonly object[] {
    return this.#streams.all().map((stream) => stream.describe());
  }

  /** Ends every connection with a reset. */
  close(): void {
    for (const server of this.#servers) server.close();
    for (const link of this.#unproved) link.reset();
    this.#streams.destroy();
  }

  /** TPROXY has brought a connection of the task: its local end is where the task wanted to go. */
  #captureOne(socket: LinkSocket): void {
    try {
      const app = new Link(socket);
      const client = remoteEnd(app.fd);
      const server = localEnd(app.fd);
      if (server.port === PORTS.capture) {
        app.reset(); // somebody has called us, not another task
        return;
      }
      const { peers } = this.#options;
      const target = peers ? peers.target(server) : server;
      if (!target) {
        app.reset(); // the last one behind this virtual address has just stopped listening
        return;
      }
      const identity: StreamIdentity = { id: newStreamId(), role: 'opener', client, server };
      void openStream(this.#streams, this.#streams.add(identity, target, app), this.#caller);
    } catch (error) {
      // One connection's error must not end the others.
      this.#options.log('a connection failed', { error: messageOf(error) });
    }
  }

  /** Another sidecar, or a stranger, has called. */
  async #called(socket: LinkSocket): Promise<void> {
    const { key, log, peers, tunnels } = this.#options;
    const tunnel = new Link(socket);
    try {
      if (this.#unproved.size >= MAX_UNPROVED) {
        tunnel.reset();
        return;
      }
      this.#unproved.add(tunnel);
      const call = await hear(tunnel, key).finally(() => this.#unproved.delete(tunnel));
      if (call.open.role !== 'peer') tunnels.add(tunnel, tunnel.remoteAddress);
      switch (call.open.role) {
        case 'new':
          await this.#accept(call);
          return;
        case 'resume':
          await this.#resuming.answer(call);
          return;
        case 'peer':
          if (!peers) tunnel.reset();
          else await peers.accept(tunnel, call.open, call.early, (status) => call.sign(status, this.epoch, 0));
      }
    } catch (error) {
      log('a call was refused', { error: messageOf(error) });
      tunnel.reset();
    }
  }

  /** A stream has ended in order, and its tunnel may carry another: one of ours, or one that is offered over it. */
  #freed({ role }: StreamIdentity, tunnel: Link, rest: Uint8Array): void {
    const own = role === 'opener';
    if (own && rest.length > 0) tunnel.reset();
    else if (this.#options.tunnels.rest(tunnel, own) && !own) hearNext(tunnel, rest, (call) => void this.#next(call));
  }

  /** Another stream over a tunnel that has carried some. */
  async #next(call: Call): Promise<void> {
    this.#options.tunnels.use(call.tunnel);
    try {
      await this.#accept(call);
    } catch (error) {
      this.#options.log('a call was refused', { error: messageOf(error) });
      call.tunnel.reset();
    }
  }

  #accept(call: Call): Promise<void> {
    const { netns, log } = this.#options;
    return acceptStream(this.#streams, call, { netns, log, capture: (open, peer) => this.#capture(open, peer) });
  }

  /** The application's packets of a connection that is about to be made to it must come to us. */
  async #capture({ streamId, client, server }: Offer, peer: string): Promise<void> {
    // A restored opener's connection has an old address, which may be anybody's.
    if (client.address !== peer) await this.#captured.add([[streamId, { local: server, remote: client }]]);
    else await this.#options.peers?.admit(client.address);
  }
}
