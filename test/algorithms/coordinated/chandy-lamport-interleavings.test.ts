/* eslint-disable @typescript-eslint/no-non-null-assertion -- every index is of the test's own making */
import { describe, expect, it } from 'vitest';
import { ChandyLamportParticipant } from '../../../src/algorithms/coordinated/chandy-lamport.ts';
import type { ParticipantEffect } from '../../../src/algorithms/contract.ts';

/**
 * A small system in which everything that can happen next is a numbered choice: messages leave, arrive, are delivered, processes
 * initiate and finish saving, in any order. An item of a channel is a message number or a marker.
 */
interface Channel {
  readonly from: number;
  readonly to: number;
  readonly script: number;
  sent: number;
  readonly wire: (number | 'marker')[];
  /** Received by the interceptor, not yet delivered: the reader is slow, blocked or frozen. */
  readonly inbox: number[];
  delivered: number[];
  recording: boolean;
  recorded: number[];
  sentAtCut: number | undefined;
  deliveredAtCut: number | undefined;
}

interface Defects {
  /** The broken variant lets the process send once more between its cut and its markers. */
  readonly markersLate?: boolean;
  /** The broken variant ends a recording as soon as the process is saved. */
  readonly recordingStopsEarly?: boolean;
}

class System {
  readonly channels: Channel[];
  readonly participants: ChandyLamportParticipant[];
  readonly frozen = [false, false, false];
  readonly saving = [false, false, false];
  readonly reported = [0, 0, 0];
  readonly lateMarkers: string[][] = [[], [], []];
  readonly initiators: Set<number>;
  readonly defects: Defects;

  constructor(edges: readonly (readonly [number, number, number])[], initiators: readonly number[], defects: Defects) {
    this.initiators = new Set(initiators);
    this.defects = defects;
    this.channels = edges.map(([from, to, script]) => ({
      from,
      to,
      script,
      sent: 0,
      wire: [],
      inbox: [],
      delivered: [],
      recording: false,
      recorded: [],
      sentAtCut: undefined,
      deliveredAtCut: undefined,
    }));
    this.participants = [0, 1, 2].map(
      (p) => new ChandyLamportParticipant({ process: String(p), epoch: 0, deadlineMs: 1e9, keepFrozen: false }),
    );
    this.channels.forEach((channel, c) => {
      this.participants[channel.from]!.step({ kind: 'opened', channel: String(c), direction: 'out', epoch: 0 });
      this.participants[channel.to]!.step({ kind: 'opened', channel: String(c), direction: 'in', epoch: 0 });
    });
  }

  choices(): (() => void)[] {
    const list: (() => void)[] = [];
    this.channels.forEach((channel, c) => {
      if (channel.sent < channel.script && !this.frozen[channel.from]) {
        list.push(() => {
          channel.sent++;
          channel.wire.push(channel.sent);
        });
      }
      if (channel.wire.length > 0) list.push(() => this.arrive(channel, c));
      if (channel.inbox.length > 0 && !this.frozen[channel.to]) {
        list.push(() => {
          channel.delivered.push(channel.inbox.shift()!);
        });
      }
    });
    for (const p of this.initiators) {
      list.push(() => {
        this.initiators.delete(p);
        this.run(p, this.participants[p]!.step({ kind: 'start', epoch: 1, now: 0 }));
      });
    }
    for (const p of [0, 1, 2]) {
      if (this.saving[p]) list.push(() => this.saved(p));
      if (this.lateMarkers[p]!.length > 0 && !this.frozen[p]) {
        list.push(() => {
          for (const c of this.lateMarkers[p]!.splice(0)) this.channels[Number(c)]!.wire.push('marker');
        });
      }
    }
    return list;
  }

  saved(p: number): void {
    this.saving[p] = false;
    this.run(p, this.participants[p]!.step({ kind: 'saved', now: 0 }));
    if (!this.defects.recordingStopsEarly) return;
    for (const channel of this.channels) if (channel.to === p) channel.recording = false;
  }

  arrive(channel: Channel, c: number): void {
    const item = channel.wire.shift()!;
    if (item === 'marker') {
      this.run(
        channel.to,
        this.participants[channel.to]!.step({ kind: 'marker', channel: String(c), epoch: 1, now: 0 }),
      );
    } else {
      if (channel.recording) channel.recorded.push(item);
      channel.inbox.push(item);
    }
  }

  run(p: number, effects: readonly ParticipantEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'freeze') this.cut(p);
      if (effect.kind === 'save') this.saving[p] = true;
      if (effect.kind === 'thaw') this.frozen[p] = false;
      if (effect.kind === 'report') this.reported[p]!++;
      if (effect.kind === 'send-marker') {
        if (this.defects.markersLate) this.lateMarkers[p]!.push(effect.channel);
        else this.channels[Number(effect.channel)]!.wire.push('marker');
      }
      if (effect.kind === 'start-recording') {
        const channel = this.channels[Number(effect.channel)]!;
        channel.recording = true;
        channel.recorded.push(...channel.inbox);
      }
      if (effect.kind === 'stop-recording') this.channels[Number(effect.channel)]!.recording = false;
    }
  }

  cut(p: number): void {
    this.frozen[p] = true;
    for (const channel of this.channels) {
      if (channel.from === p) channel.sentAtCut = channel.sent;
      if (channel.to === p) channel.deliveredAtCut = channel.delivered.length;
    }
  }

  key(): string {
    const channels = this.channels.map((channel) => [
      channel.sent,
      channel.wire,
      channel.inbox.length,
      channel.recording,
      channel.recorded,
      channel.sentAtCut,
      channel.deliveredAtCut,
    ]);
    const processes = this.participants.map((participant) => [
      participant.epoch,
      participant.busy,
      participant.awaited,
    ]);
    return JSON.stringify([channels, processes, this.frozen, this.saving, this.lateMarkers, [...this.initiators]]);
  }

  /** What is wrong with a finished run; empty when nothing is. */
  faults(): string[] {
    const faults: string[] = [];
    this.reported.forEach((count, p) => {
      if (count !== 1) faults.push(`process ${p} reported ${count} times`);
    });
    this.channels.forEach((channel, c) => {
      const expected: number[] = [];
      for (let i = channel.deliveredAtCut! + 1; i <= channel.sentAtCut!; i++) expected.push(i);
      if (channel.deliveredAtCut! > channel.sentAtCut!) faults.push(`channel ${c}: orphan message`);
      if (JSON.stringify(expected) !== JSON.stringify(channel.recorded)) {
        faults.push(`channel ${c}: state ${channel.recorded.join()} instead of ${expected.join()}`);
      }
    });
    return faults;
  }
}

/** Walks through every reachable state once. A state is reached by replaying its choices: participants cannot be copied. */
function explore(
  make: () => System,
  limit: number,
  untilFault = false,
): { states: number; runs: number; faults: Set<string> } {
  const seen = new Set<string>();
  const faults = new Set<string>();
  let runs = 0;
  const paths: number[][] = [[]];
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    const system = make();
    for (const choice of path) system.choices()[choice]!();
    const key = system.key();
    if (seen.has(key)) continue;
    seen.add(key);
    if (seen.size > limit) throw new Error(`more than ${limit} states`);
    const choices = system.choices().length;
    if (choices === 0) {
      runs++;
      for (const fault of system.faults()) faults.add(fault);
      if (untilFault && faults.size > 0) break;
    }
    for (let choice = 0; choice < choices; choice++) paths.push([...path, choice]);
  }
  return { states: seen.size, runs, faults };
}

/** Ring 0 → 1 → 2 → 0 and one channel back; the numbers are messages per channel. */
const RING = [
  [0, 1, 1],
  [1, 2, 1],
  [2, 0, 1],
  [1, 0, 1],
] as const;
const PAIR = [
  [0, 1, 2],
  [1, 0, 1],
  [1, 2, 0],
  [2, 1, 0],
] as const;
const LIMIT = 400_000;
const TIMEOUT_MS = 120_000;

describe('Chandy-Lamport under every interleaving of three processes', () => {
  it.each([
    ['ring, one initiator', RING, [0]],
    ['line with messages both ways, one initiator', PAIR, [0]],
    ['line with messages both ways, two initiators', PAIR, [0, 2]],
  ] as const)(
    '%s',
    (_name, edges, initiators) => {
      const result = explore(() => new System(edges, initiators, {}), LIMIT);
      console.info(`${result.states} states, ${result.runs} final ones`);
      expect([...result.faults]).toEqual([]);
      expect(result.runs).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it(
    'finds markers that leave too late',
    () => {
      const { faults } = explore(() => new System(PAIR, [0], { markersLate: true }), LIMIT, true);
      expect([...faults].join('\n')).toMatch(/state|orphan/);
    },
    TIMEOUT_MS,
  );

  it(
    'finds a recording that stops early',
    () => {
      const { faults } = explore(() => new System(PAIR, [0], { recordingStopsEarly: true }), LIMIT, true);
      expect([...faults].join('\n')).toMatch(/instead of/);
    },
    TIMEOUT_MS,
  );
});
