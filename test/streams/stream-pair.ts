import type { Operation } from './operations.ts';
import type { EndCut } from './stream-end.ts';
import { NEXT, StreamEnd } from './stream-end.ts';
import { newTunnel, pattern } from './surroundings.ts';

/** More steps than any run needs to come to rest. */
const MOST_STEPS = 1_000;

/** What has happened, to show that a run means something. */
export interface Counts {
  cuts: number;
  recordedBytes: number;
  moves: number;
  restores: number;
  /** Tunnels that another stream could go over. */
  freed: number;
}

/** Two ends of a stream, a tunnel, two applications, and rounds over them. */
export class StreamPair {
  readonly ends: readonly [StreamEnd, StreamEnd] = [new StreamEnd(0), new StreamEnd(1)];
  readonly counts: Counts = { cuts: 0, recordedBytes: 0, moves: 0, restores: 0, freed: 0 };
  readonly #reusable: boolean;
  #epoch = 0;
  /** A round is open. */
  #round = false;
  /** Whose task moves. */
  #moving: StreamEnd | undefined;
  /** The last complete cut of both. */
  #saved: readonly [EndCut, EndCut] | undefined;
  /** The opener has not heard yet that it was accepted. */
  #accepting = newTunnel();
  /** Something was done after which not everything need arrive. */
  #broken = false;
  /** Bytes were lost: those of a connection that was reset before are missed by nobody, and its end is in order (TunnelSide). */
  #lost = false;

  /** @param reusable the tunnel may carry another stream after this one */
  constructor(reusable: boolean) {
    this.#reusable = reusable;
    this.ends[1].use(this.#accepting, reusable);
  }

  do({ kind, side, bytes }: Operation): void {
    const end = this.ends[side];
    switch (kind) {
      case 'flow':
        this.#flow(bytes);
        break;
      case 'write':
        end.appWrites(bytes);
        break;
      case 'read-app':
        end.readApp(bytes);
        break;
      case 'read-tunnel':
        end.readTunnel(bytes);
        break;
      case 'take':
        end.appTakes(bytes);
        break;
      case 'close':
        end.appCloses();
        break;
      case 'time':
        end.passTime(30);
        break;
      case 'mark':
        this.#mark(end);
        break;
      case 'cut':
        this.#startRound(end);
        break;
      case 'release':
        if (this.#moving !== end) end.release();
        break;
      case 'block':
        end.blocked = true;
        end.do(() => end.machine.block());
        break;
      case 'pause':
      case 'unpause':
        end.do(() => end.machine.pause(kind === 'pause'));
        break;
      case 'accept':
        if (this.ends[0].machine.phase === 'opening') this.ends[0].use(this.#accepting, this.#reusable);
        break;
      case 'move':
        this.#move(end);
        break;
      case 'give-up':
        this.#giveUp();
        break;
      case 'arrive':
        this.#arrive();
        break;
      case 'resume':
        this.#resume();
        break;
      case 'restore':
        this.#restore();
        break;
      case 'reset':
        if (end.machine.phase === 'open') {
          this.#broken = true;
          end.appResets();
        }
        break;
      case 'lose':
        this.#lose(end);
        break;
    }
    for (const each of this.ends) each.settle();
    this.#look();
  }

  /** Lets everything come to rest, and looks whether all has arrived. */
  finish(): void {
    const chunk = { bytes: 1_000_000 };
    this.do({ kind: 'accept', side: 0, ...chunk });
    for (let step = 0; this.#goOn(chunk.bytes); step++) {
      if (step > MOST_STEPS) throw new Error('it does not come to rest');
    }
    if (this.#round) throw new Error('a round did not end');
    this.#checkFreed();
    if (this.#broken) return;
    for (const [sender, receiver] of [this.ends, [this.ends[1], this.ends[0]] as const]) {
      const { written, closed } = sender.app;
      const { got, gotFin, gotReset } = receiver.app;
      if (got !== written) throw new Error(`${written} bytes were written, ${got} have come`);
      if (gotFin !== closed || gotReset) throw new Error(`closed ${closed}, end ${gotFin}, reset ${gotReset}`);
    }
    if (this.ends.every(({ app }) => app.closed) && !this.ends.every(({ machine }) => machine.over))
      throw new Error('both applications have closed, and the stream is not over');
  }

  /** What is said behind a stream is for the next one, to the last byte; and nobody waits for a tunnel that the other end does not free. */
  #checkFreed(): void {
    const [opener, acceptor] = this.ends;
    if (opener.freed && opener.freed.rest.length > 0) throw new Error('the acceptor goes on by itself');
    if (opener.freed && acceptor.freed) {
      const { tunnel, rest } = acceptor.freed;
      const next = Buffer.concat([rest, tunnel.pipes[0].bytes]);
      if (!tunnel.broken && !next.equals(NEXT)) throw new Error(`behind the stream stands "${next.toString()}"`);
      this.counts.freed += 1;
      return;
    }
    for (const [freed, other] of [
      [opener.freed, acceptor],
      [acceptor.freed, opener],
    ] as const)
      if (freed && !freed.tunnel.broken && !freed.tunnel.pipes[other.side].ended)
        throw new Error('one end has freed the tunnel, the other one has neither freed nor ended it');
  }

  /** @returns false when nothing is left to be done */
  #goOn(bytes: number): boolean {
    this.#arrive();
    this.#resume();
    for (const end of this.ends) {
      if (end.machine.phase === 'reconnecting' && this.other(end).ended) this.#alone(end);
      if (this.#round && end.cut?.epoch !== this.#epoch) this.#cut(end, false);
      if (end.blocked) end.release();
      end.do(() => end.machine.pause(false));
      end.passTime(100);
    }
    const busy = this.#flow(bytes);
    const waiting = this.ends.some(({ machine, markers }) => machine.awaiting || markers.length > 0);
    return busy || waiting || this.#moving !== undefined;
  }

  /** @returns true when something has moved */
  #flow(bytes: number): boolean {
    let busy = false;
    for (const end of this.ends) {
      while (end.markers.length > 0) this.#mark(end);
      for (const moved of [end.appTakes(bytes), end.readApp(bytes), end.readTunnel(bytes)]) busy ||= moved;
      end.settle();
    }
    this.#look();
    return busy;
  }

  /** The algorithm deals with the oldest marker. */
  #mark(end: StreamEnd): void {
    const marker = end.markers.shift();
    if (!marker) return;
    const { kind, epoch, tunnel } = marker;
    if (kind === 'park' && !this.#round) {
      end.do(() => end.machine.parkDone(tunnel, epoch));
      return;
    }
    if (this.#round && epoch === this.#epoch && end.cut?.epoch !== epoch) this.#cut(end, false);
    if (end.cut?.epoch === epoch) end.stopRecording();
    end.do(() => end.machine.markerDone(tunnel));
  }

  /** Nothing is under way that a round or a move would disturb. */
  get #quiet(): boolean {
    const open = this.ends.every(({ machine }) => machine.phase === 'open' && !machine.awaiting);
    return open && !this.#round && !this.#moving;
  }

  #startRound(end: StreamEnd): void {
    if (!this.#quiet) return;
    this.#round = true;
    this.#epoch += 1;
    this.#cut(end, false);
  }

  #cut(end: StreamEnd, park: boolean): void {
    end.makeCut(this.#epoch, park);
    this.counts.cuts += 1;
    if (end.ended) end.stopRecording();
  }

  /** Ends the round when both have all of it. */
  #look(): void {
    for (const end of this.ends) {
      if (end.ended && end.cut && !end.cut.recording.complete) end.stopRecording();
      if (end.ended?.lost && !this.#broken) throw new Error('a stream is lost for no reason');
    }
    const [first, second] = this.ends.map(({ cut }) => cut);
    if (!this.#round || first?.epoch !== this.#epoch || second?.epoch !== this.#epoch) return;
    if (!first.recording.complete || !second.recording.complete) return;
    this.#round = false;
    if (this.#lost || this.ends.some(({ ended }) => ended?.lost)) return;
    this.#check(first, second);
    this.#check(second, first);
    this.#saved = [first, second];
  }

  /** `sent == delivered + recorded`, and what was recorded is what was sent. */
  #check({ position: { sent, finSent } }: EndCut, { position: { delivered, finDelivered }, recording }: EndCut): void {
    if (sent !== delivered + recording.bytes)
      throw new Error(`${sent} bytes were sent, ${delivered} delivered, ${recording.bytes} recorded`);
    if (!pattern(delivered, recording.bytes).equals(Buffer.concat(recording.chunks)))
      throw new Error('other bytes were recorded than were sent');
    if (!this.#broken && finSent !== (finDelivered || recording.fin))
      throw new Error(`end sent ${finSent}, delivered ${finDelivered}, recorded ${recording.fin}`);
    this.counts.recordedBytes += recording.bytes;
  }

  #move(end: StreamEnd): void {
    if (!this.#quiet) return;
    this.#moving = end;
    this.#epoch += 1;
    this.#cut(end, true);
  }

  #giveUp(): void {
    const end = this.#moving;
    if (!end) return;
    this.#moving = undefined;
    end.stopRecording();
    end.do(() => end.machine.unpark());
    end.release();
  }

  /** The task that moves is restored, as soon as its peer's marker has come. */
  #arrive(): void {
    const end = this.#moving;
    if (!end?.cut) return;
    if (end.ended || this.other(end).ended) {
      this.#giveUp();
      return;
    }
    if (!end.cut.recording.complete || !end.cut.app.accepted || end.cut.recording.reset || end.app.gotReset) {
      if (!end.cut.app.accepted || end.app.gotReset) this.#giveUp();
      return;
    }
    this.#moving = undefined;
    if (end.tunnel) end.tunnel.broken = true;
    const { sent, state } = this.other(end).machine;
    this.#check({ ...end.cut, position: { ...end.cut.position, sent, finSent: state.finSent } }, end.cut);
    end.restore(end.cut);
    this.#saved = undefined;
    this.counts.moves += 1;
  }

  /** As agent/sidecar/checkpoint/resuming.ts: each must have what the other has sent. */
  #resume(): void {
    const [first, second] = this.ends;
    if (!first.machine.awaiting || !second.machine.awaiting || this.#moving) return;
    if (first.machine.sent !== second.machine.received || second.machine.sent !== first.machine.received)
      throw new Error('the two ends do not fit together');
    const tunnel = newTunnel();
    for (const end of this.ends) {
      end.do(() => end.machine.discardTunnel());
      end.use(tunnel);
      if (end.blocked) end.release();
    }
  }

  /** The peer does not come back. */
  #alone(end: StreamEnd): void {
    this.#broken = true;
    end.do(() => (end.machine.inputEnded ? end.machine.goAlone() : end.machine.destroy()));
  }

  #restore(): void {
    const saved = this.#saved;
    if (!saved || this.#round || this.#moving || this.#broken) return;
    const whole = saved.every(({ app, position, recording }) => {
      const over = position.finSent && (position.finDelivered || recording.fin);
      return app.accepted && !app.gotReset && !recording.reset && !position.opening && !over;
    });
    if (!whole) return;
    for (const end of this.ends) end.restore(saved[end.side]);
    this.#saved = undefined;
    this.counts.restores += 1;
  }

  /** The tunnel breaks; what is on its way is lost. */
  #lose({ tunnel, machine }: StreamEnd): void {
    if (!tunnel || machine.phase !== 'open') return;
    tunnel.broken = true;
    if (!this.ends.every((end) => end.machine.awaiting)) this.#broken = this.#lost = true;
  }

  other(end: StreamEnd): StreamEnd {
    return this.ends[end.side === 0 ? 1 : 0];
  }
}
