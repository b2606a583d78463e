/**
 * One connection per pair of branches. The branch with the lower identity dials; nothing is remembered by address,
 * since a restored task has another one while its connections live on.
 */
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { taskAddresses } from './discovery.ts';
import { encodeHello, FrameReader } from './frame.ts';
import type { Transfer } from './frame.ts';
import type { BranchOptions } from './options.ts';

/** Pause between two rounds of dialling, while peers are missing. */
const REDIAL_MS = 300;
/** An address that was a task's a moment ago may not answer at all. */
const GREETING_TIMEOUT_MS = 3000;

/** An established connection to another branch. */
export interface Peer {
  readonly id: string;
  readonly socket: Socket;
  open: boolean;
}

/** What the branch does with what its peers send. */
export interface PeerHandler {
  opened(peer: Peer): void;
  transfer(peer: Peer, transfer: Transfer): void;
  /** All frames of one read have been handed over. */
  readDone(peer: Peer): void;
  /** The connection is gone, or its stream out of step. It is not made again: its books could not go on. */
  lost(peer: Peer, why: string): void;
}

/** Makes, accepts and keeps the connections of one branch. */
export class Peers {
  readonly all = new Map<string, Peer>();
  private readonly server: Server;
  private readonly id: string;
  private readonly options: BranchOptions;
  private readonly handler: PeerHandler;

  constructor(id: string, options: BranchOptions, handler: PeerHandler) {
    this.id = id;
    this.options = options;
    this.handler = handler;
    this.server = createServer((socket) => {
      // Say who we are first; the dialler decides whether it keeps the connection.
      socket.write(encodeHello(id));
      this.attach(socket, false);
    });
    this.server.on('error', (error) => {
      throw error;
    });
  }

  /** Peers that there will be: all tasks of all services but this one. */
  get expected(): number {
    return this.options.branches.reduce((sum, { tasks }) => sum + tasks, 0) - 1;
  }

  /** Listens, and dials until all expected peers are there. */
  start(): void {
    this.server.listen(this.options.port, this.options.host);
    void this.dialAll();
  }

  private async dialAll(): Promise<void> {
    while (this.all.size < this.expected) {
      for (const { name } of this.options.branches) {
        for (const address of await taskAddresses(name)) await this.dial(address);
      }
      if (this.all.size < this.expected) await new Promise((done) => setTimeout(done, REDIAL_MS));
    }
  }

  /** Resolves when it is clear what is at `address`: a new peer, a known one, this branch itself, or nothing yet. */
  private dial(address: string): Promise<void> {
    return new Promise((done) => {
      const socket = connect({ host: address, port: this.options.port });
      // Only for the question who is there: an established connection has no time limit.
      const timer = setTimeout(() => socket.destroy(), GREETING_TIMEOUT_MS);
      const settled = (): void => {
        clearTimeout(timer);
        done();
      };
      socket.once('close', settled);
      this.attach(socket, true, settled);
    });
  }

  private attach(socket: Socket, dialled: boolean, settled: () => void = () => undefined): void {
    const reader = new FrameReader();
    let peer: Peer | undefined;
    let reason = 'closed by the other end';
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      try {
        for (const frame of reader.push(bytes)) {
          if (frame.kind === 'hello') {
            peer = this.greet(socket, frame.id, dialled);
            settled();
            if (peer === undefined) return;
          } else if (peer !== undefined) {
            this.handler.transfer(peer, frame);
          }
        }
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
        socket.destroy();
      }
      if (peer !== undefined) this.handler.readDone(peer);
    });
    socket.on('error', (error) => {
      reason = error.message;
    });
    socket.on('close', () => {
      // Without a peer it was only a question who is there.
      if (peer === undefined) return;
      peer.open = false;
      this.handler.lost(peer, reason);
    });
  }

  /** The other end has said who it is: a new peer, or undefined if this connection is not wanted. */
  private greet(socket: Socket, id: string, dialled: boolean): Peer | undefined {
    const [dialler, accepter] = dialled ? [this.id, id] : [id, this.id];
    if (dialler >= accepter || this.all.has(id)) {
      socket.destroy();
      return undefined;
    }
    if (dialled) socket.write(encodeHello(this.id));
    const peer: Peer = { id, socket, open: true };
    this.all.set(id, peer);
    this.handler.opened(peer);
    return peer;
  }
}
