import type { Connection, Endpoint } from '../../../src/model/connection.ts';
import { connectionKey, endpointText, peerKey } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import { poll } from '../../../src/platform/deadlines.ts';
import { connectApp } from '../streams/accepting.ts';
import type { Call } from '../streams/accepting.ts';
import { callSidecar } from '../peers/call.ts';
import type { Answer } from '../peers/call.ts';
import type { CapturedSet } from '../capture/captured-set.ts';
import { Link } from '../sockets/link.ts';
import { AbsentEnd } from '../sockets/local-end.ts';
import type { LocalEnd } from '../sockets/local-end.ts';
import { openStream } from '../streams/opening.ts';
import type { CallerOptions } from '../streams/opening.ts';
import { readCheckedRecord, readEnd, readRecorded } from '../../../src/storage/channel-records.ts';
import { makeEnd, wakeEnd } from '../../linux/repair.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import { restorationOf } from './restoration.ts';
import { MARKS } from '../../linux/proxy-table.ts';
import { APP_BUFFER_BYTES } from '../sockets/sockets.ts';
import type { RestoredStream } from '../../../src/streams/stream-state.ts';
import type { Stream } from '../streams/stream.ts';
import type { StreamIdentity } from '../streams/stream-identity.ts';
import type { Streams } from '../streams/streams.ts';
import { closeDescriptor, setResetOnClose } from '../../linux/sys.ts';

const AGAIN_AFTER_MS = 100;
/** The peer may not have been let go yet. */
const DIAL_PATIENCE_MS = 60_000;
/** For a call that does not come. */
const WAIT_PATIENCE_MS = 120_000;

/** What a sidecar begins with whose task is restored. */
export interface StreamRestoreOptions {
  /** Of the files of record-files.ts. */
  readonly folder: string;
  /** The connections of the task's image. */
  readonly connections: readonly Connection[];
  /** `ProxyPlan` of proto/agent.proto. */
  readonly plan: { readonly streams: readonly StreamResumption[] };
}

interface StreamResumption {
  readonly id: string;
  readonly action: 'RESUME' | 'OPEN' | 'ALONE' | 'RESET';
  readonly peer?: Endpoint | null | undefined;
  readonly dial: boolean;
}

/** What is to be done when the restored task is let go. */
interface Restored {
  /** Streams that live on, with their ends, which are in repair mode. */
  readonly wake: { readonly stream: Stream; readonly end: LocalEnd }[];
  /** Descriptors of ends whose application hears a reset. */
  readonly reset: number[];
  readonly connect: { readonly identity: StreamIdentity; readonly stream: RestoredStream; readonly target: Endpoint }[];
  readonly plans: ReadonlyMap<string, StreamResumption>;
  /** Streams whose opener had not been accepted. */
  readonly unopened: ReadonlySet<string>;
}

/** Streams whose tunnel is gone and that go on over another: those of a restored task, and those with a task that moves. */
export class Resuming {
  readonly #streams: Streams;
  readonly #captured: CapturedSet;
  readonly #options: CallerOptions & { readonly own: readonly string[] };
  readonly #timers = new Map<Stream, NodeJS.Timeout>();
  /** Streams that are being made: a call waits for them. */
  readonly #coming = new Map<string, Promise<void>>();
  #restored: Restored | undefined;

  constructor(streams: Streams, captured: CapturedSet, options: CallerOptions & { readonly own: readonly string[] }) {
    this.#streams = streams;
    this.#captured = captured;
    this.#options = options;
  }

  /**
   * Makes the streams of a record; nothing of them moves before {@link resume}.
   * @throws for a record that cannot be read, or a socket that cannot be made
   */
  async restore({ folder, connections, plan }: StreamRestoreOptions): Promise<void> {
    const record = await readCheckedRecord(folder); // by the agent (agent/restores/proxied-connections.ts)
    const plans = new Map(plan.streams.map((stream) => [stream.id, stream]));
    const own = new Map(connections.map((connection) => [connectionKey(connection), connection]));
    const unopened = record.streams.filter(({ opening }) => opening).map(({ id }) => id);
    const restored: Restored = { wake: [], reset: [], connect: [], plans, unopened: new Set(unopened) };
    const captured: [string, { local: Endpoint; remote: Endpoint }][] = [];
    for (const cut of record.streams) {
      const end = await readEnd(folder, cut);
      const connection = end && own.get(peerKey(end));
      const recorded = await readRecorded(folder, cut);
      const { id, role, client, server } = cut;
      const identity: StreamIdentity = { id, role, client, server };
      const target = targetOf(cut, plans.get(id));
      const restoration = restorationOf(cut, plans.get(id), end, connection, recorded);
      if (restoration.kind === 'connected' || restoration.kind === 'reset') {
        const fd = this.#make(restoration.end);
        captured.push([id, { local: restoration.end.remote, remote: restoration.end.local }]);
        if (restoration.kind === 'reset') restored.reset.push(fd);
        else {
          const end = new Link({ fd });
          restored.wake.push({ stream: this.#streams.add(identity, target, end, restoration.stream), end });
        }
      } else if (restoration.kind === 'absent') {
        const end = new AbsentEnd();
        restored.wake.push({ stream: this.#streams.add(identity, target, end, restoration.stream), end });
      } else if (restoration.kind === 'unaccepted') {
        restored.connect.push({ identity, target, stream: restoration.stream });
      } else if (restoration.problem !== undefined) {
        this.#log('a connection is not restored', identity, restoration.problem);
      }
    }
    await this.#captured.add(captured);
    this.#restored = restored;
  }

  /** The restored task has been let go: its connections go on. Repeated: no effect. */
  resume(): void {
    const restored = this.#restored;
    this.#restored = undefined;
    if (!restored) return;
    for (const { end } of restored.wake) if (end.fd >= 0) wakeEnd(end.fd);
    for (const fd of restored.reset) {
      wakeEnd(fd);
      setResetOnClose(fd, true);
      closeDescriptor(fd);
      // Entries of those stay in the set: at worst a reset more.
    }
    for (const unaccepted of restored.connect) {
      const { id } = unaccepted.identity;
      const made = this.#connect(unaccepted, restored).finally(() => this.#coming.delete(id));
      this.#coming.set(id, made);
    }
    this.#streams.release();
    for (const { stream } of restored.wake) this.#goOn(stream, restored);
  }

  /** Streams that are not made yet. */
  get coming(): number {
    return this.#coming.size;
  }

  /** A peer that moves has said so: its address will not be a peer's for a while. */
  async park(stream: Stream): Promise<void> {
    await this.#captured.add([[stream.identity.id, stream.appEnd]]);
  }

  /** Waits for the call of a peer that has moved. */
  wait(stream: Stream): void {
    const timer = setTimeout(() => {
      this.#timers.delete(stream);
      if (!stream.awaiting) return;
      this.#log('the other end of a connection has not come back', stream.identity);
      stream.destroy();
    }, WAIT_PATIENCE_MS);
    clearTimeout(this.#timers.get(stream));
    this.#timers.set(stream, timer.unref());
  }

  /** A peer calls that has the other end of a stream. */
  async answer(call: Call): Promise<void> {
    const { open, tunnel } = call;
    await this.#streams.released();
    await this.#coming.get(open.streamId);
    const stream = this.#streams.get(open.streamId);
    if (!stream?.awaiting) {
      tunnel.write(call.sign('unknown-stream', this.#streams.epoch, 0));
      tunnel.end();
      return;
    }
    clearTimeout(this.#timers.get(stream));
    if (open.received !== stream.sent) {
      tunnel.write(call.sign('refused', this.#streams.epoch, stream.received));
      tunnel.end();
      this.#mismatch(stream, open.received);
      return;
    }
    if (stream.identity.role === 'opener') stream.target = { address: tunnel.remoteAddress, port: stream.target.port };
    tunnel.write(call.sign('accepted', this.#streams.epoch, stream.received));
    stream.resume(tunnel, call.early);
  }

  /** Nothing is left of a stream. */
  closed(stream: Stream): void {
    clearTimeout(this.#timers.get(stream));
    this.#timers.delete(stream);
    this.#captured.delete(stream.identity.id);
  }

  #make(end: TcpEnd): number {
    return makeEnd(this.#options.netns, end, MARKS.app, APP_BUFFER_BYTES);
  }

  async #connect({ identity, stream, target }: Restored['connect'][number], restored: Restored): Promise<void> {
    const { own, netns } = this.#options;
    const { id, client, server } = identity;
    // Its listener need not be bound to the address that it had.
    const address = own.includes(server.address) ? server.address : (own[0] ?? server.address);
    const present = { address, port: server.port };
    try {
      await this.#captured.add([[id, { local: present, remote: client }]]);
      await this.#streams.released();
      const app = await connectApp(netns, present, client);
      const made = this.#streams.add({ ...identity, server: present }, target, app, stream);
      if (!this.#streams.blocked) made.release();
      this.#goOn(made, restored);
    } catch (error) {
      this.#log('the restored application refuses', identity, messageOf(error));
    }
  }

  #goOn(stream: Stream, { plans, unopened }: Restored): void {
    const plan = plans.get(stream.identity.id);
    if (stream.opening) void openStream(this.#streams, stream, this.#options);
    else if (!stream.awaiting) return;
    else if (plan?.dial === true && plan.peer) void this.#dial(stream, plan.peer, unopened.has(stream.identity.id));
    else this.wait(stream);
  }

  async #dial(stream: Stream, peer: Endpoint, unopened: boolean): Promise<void> {
    const awaiting = (): boolean => stream.awaiting;
    let reason = '';
    const call = async (): Promise<true | undefined> => {
      if (!awaiting()) return true;
      reason = 'it is busy';
      try {
        const answer = await this.#offer(stream, peer);
        if (!awaiting()) answer.tunnel.reset();
        else if (this.#answered(stream, answer, unopened)) return true;
      } catch (error) {
        reason = messageOf(error);
      }
      return undefined;
    };
    const done = await poll(call, { timeoutMs: DIAL_PATIENCE_MS, intervalMs: AGAIN_AFTER_MS });
    if (done || !awaiting()) return;
    this.#log('the other end of a connection cannot be reached', stream.identity, reason);
    stream.destroy();
  }

  #offer(stream: Stream, peer: Endpoint): Promise<Answer> {
    const { id: streamId, client } = stream.identity;
    return callSidecar({
      ...this.#options,
      address: peer.address,
      offer: () => {
        const { received, target: server } = stream;
        return Promise.resolve({
          role: 'resume',
          epoch: this.#streams.epoch,
          streamId,
          client,
          server,
          received,
          reusable: false,
        });
      },
    });
  }

  /** @returns false to try again */
  #answered(stream: Stream, { accept, tunnel, early }: Answer, unopened: boolean): boolean {
    if (accept.status === 'busy') {
      tunnel.reset();
      return false;
    }
    if (accept.status === 'accepted' && accept.received === stream.sent) {
      stream.resume(tunnel, early);
      return true;
    }
    tunnel.reset();
    if (accept.status !== 'unknown-stream') {
      this.#mismatch(stream, accept.received);
    } else if (unopened && stream.received === 0) {
      stream.openAnew();
      void openStream(this.#streams, stream, this.#options);
    } else if (stream.inputEnded) {
      stream.goAlone();
    } else {
      this.#log('the other end of a connection is gone', stream.identity);
      stream.destroy();
    }
    return true;
  }

  #mismatch(stream: Stream, received: number): void {
    this.#log('a connection cannot go on', stream.identity, `${stream.sent} bytes were sent, the peer has ${received}`);
    stream.destroy();
  }

  #log(message: string, { id, client, server }: StreamIdentity, error?: string): void {
    const details = { stream: id, client: endpointText(client), server: endpointText(server) };
    this.#options.log(message, error === undefined ? details : { ...details, error });
  }
}

/** Of the opener: the other task is where the plan says. Of the acceptor: itself. */
function targetOf(
  cut: { readonly role: string; readonly target: Endpoint },
  plan: StreamResumption | undefined,
): Endpoint {
  return cut.role === 'opener' ? (plan?.peer ?? cut.target) : cut.target;
}
