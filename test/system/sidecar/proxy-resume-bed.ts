import { join } from 'node:path';
import { KernelInterceptor } from '../../../agent/network/interceptor.ts';
import type { JsonPeer } from '../../../src/rpc/control/json-peer.ts';
import { readEnd, readRecord } from '../../../src/storage/channel-records.ts';
import type { ChannelsRecord } from '../../../src/storage/channel-records.ts';
import type { TcpEnd } from '../../../src/formats/tcp-end.ts';
import { planProxies } from '../../../src/model/plans/proxy-plan.ts';
import type { StayingTask, StreamPlan } from '../../../src/model/plans/proxy-plan.ts';
import type { Alias } from '../../../src/model/task.ts';
import { connectionKey, peerKey } from '../../../src/model/connection.ts';
import { deferred } from '../../../src/platform/deferred.ts';
import { expect } from 'vitest';
import { checkStreams, pairStreams, streamChannelText } from '../../../src/model/cuts/stream-cut.ts';
import { ProxyBed } from './proxy-bed.ts';
import { RawApp, connectionOf } from '../network/raw-app.ts';
import type { Manners, SavedEnd } from '../network/raw-app.ts';

const BLOCK_MS = 90_000;

/** No measures of speed, as in proxy-bed.ts. */
export const LONG = { timeout: 60_000 };
export const LONGER = { timeout: 300_000 };

/** What each port's server does, and what its client does. */
export type Kinds = Readonly<Record<number, { readonly server: Manners; readonly client: Manners }>>;

/** All that is kept of one task. */
export interface SavedTask {
  readonly folder: string;
  readonly record: ChannelsRecord;
  readonly ends: readonly SavedEnd[];
  /** Where it was, last one first. */
  readonly addresses: readonly string[];
}

/** Tasks with sidecars whose applications can be saved and restored as a whole, the agent's part included. */
export class ResumeBed {
  readonly proxies: ProxyBed;
  readonly apps = new Map<string, RawApp>();
  /** Previous addresses, by task. */
  readonly formerly = new Map<string, readonly string[]>();

  /** @param tasks name → IPv4 address */
  static async make(tasks: Readonly<Record<string, string>>): Promise<ResumeBed> {
    return new ResumeBed(await ProxyBed.make(tasks));
  }

  private constructor(proxies: ProxyBed) {
    this.proxies = proxies;
  }

  app(task: string): RawApp {
    let app = this.apps.get(task);
    if (!app) {
      app = new RawApp(this.proxies.bed.netns(task));
      this.apps.set(task, app);
    }
    return app;
  }

  kernel(task: string): KernelInterceptor {
    return new KernelInterceptor({ netns: this.proxies.bed.netns(task) });
  }

  /** Cuts these tasks, by one or all of them, and gives what is to be kept. */
  async snapshot(
    epoch: number,
    tasks: readonly string[],
    initiators: readonly string[] = tasks,
    options: { readonly keepFrozen?: boolean } = {},
  ): Promise<{ readonly saved: Map<string, SavedTask>; readonly rounds: Map<string, TaskRound> }> {
    const rounds = new Map(tasks.map((task) => [task, new TaskRound(this, task, epoch)]));
    await Promise.all([...rounds.values()].map((round) => round.prepare(options.keepFrozen ?? false)));
    await Promise.all(initiators.map(async (task) => rounds.get(task)?.control?.call('start', { epoch })));
    const saved = new Map<string, SavedTask>();
    for (const [task, round] of rounds) {
      const outcome = await round.reported.promise;
      if (outcome.kind !== 'saved') throw new Error(`${task}: ${JSON.stringify(outcome)}`);
    }
    for (const [task, round] of rounds) {
      const folder = join(this.proxies.folder, `${epoch}-${task}`);
      await round.control?.call('collect', { epoch, folder });
      saved.set(task, {
        folder,
        record: await readRecord(folder),
        ends: round.ends,
        addresses: [this.proxies.address(task), ...(this.formerly.get(task) ?? [])],
      });
    }
    return { saved, rounds };
  }

  /**
   * Brings one task back here: its connections, then its sidecar; all blocked.
   * @returns lets it go
   */
  async restore(
    task: string,
    epoch: number,
    saved: SavedTask,
    streams: readonly StreamPlan[],
  ): Promise<() => Promise<void>> {
    await this.kernel(task).block(BLOCK_MS);
    const taken = new Map<string, TcpEnd>();
    for (const stream of saved.record.streams) {
      const end = await readEnd(saved.folder, stream);
      if (end) taken.set(peerKey(end), end);
    }
    const app = this.app(task);
    app.frozen = true;
    const wake = app.restore(saved.ends, (end) => taken.get(connectionKey(end))?.receiveSeq);
    this.formerly.set(task, saved.addresses);
    await this.proxies.attachOne(task, epoch, {
      folder: saved.folder,
      connections: saved.ends.map(connectionOf),
      plan: { streams },
    });
    return async () => {
      await this.kernel(task).unblock();
      wake();
      app.frozen = false;
      await this.proxies.call(task, 'resume');
    };
  }

  /** Sidecars of these tasks, who know each other and what listens; and each task connects to each other one, to every port. */
  async connectAll(kinds: Kinds, tasks: readonly string[], ports: readonly number[], times = 1): Promise<void> {
    for (const task of tasks) for (const port of ports) this.app(task).listen(port, kinds[port]?.server ?? {});
    await this.proxies.attach(...tasks);
    await this.introduce(tasks);
    const pairs = tasks.flatMap((task) =>
      tasks.filter((other) => other !== task).map((other) => [task, other] as const),
    );
    for (const [task, other] of pairs)
      await expect.poll(() => this.proxies.set(task, 'listening'), LONG).toContain(this.proxies.address(other));
    for (const [task, other] of pairs)
      for (const port of ports)
        for (let time = 0; time < times; time++)
          this.app(task).connect({ address: this.proxies.address(other), port }, { ...kinds[port]?.client });
  }

  async introduce(tasks: readonly string[]): Promise<void> {
    const own = tasks.map((task) => ({ address: this.proxies.address(task), service: task, own: true }));
    await this.proxies.introduce({ subnets: [this.proxies.subnet], tasks: own, vips: [], nonPeers: [] });
  }

  /** Every end that has something to get gets something more, and all that it gets is right. */
  async flows(tasks: readonly string[]): Promise<void> {
    const ends = tasks.flatMap((task) => this.app(task).ends);
    const before = new Map(ends.map((end) => [end, end.got]));
    await expect
      .poll(() => ends.filter((end) => end.fd >= 0 && !end.finGot && end.got === before.get(end)).length, LONG)
      .toBe(0);
    this.fine(tasks);
  }

  /** The ways of slow readers are full up to their writers. */
  async stuffed(tasks: readonly string[]): Promise<void> {
    await expect
      .poll(async () => {
        const channels = (await Promise.all(tasks.map((task) => this.proxies.call(task, 'channels')))).flat();
        return (channels as { undelivered: number }[]).some(({ undelivered }) => undelivered > 0);
      }, LONG)
      .toBe(true);
  }

  fine(tasks: readonly string[]): void {
    for (const task of tasks) expect({ task, errors: this.app(task).errors }).toEqual({ task, errors: [] });
    expect(this.proxies.crashes).toEqual([]);
  }

  /** A task and all that belongs to it vanishes. */
  async kill(task: string): Promise<void> {
    this.apps.get(task)?.close();
    this.apps.delete(task);
    await this.proxies.remove(task);
  }

  async close(): Promise<void> {
    for (const app of this.apps.values()) app.close();
    await this.proxies.close();
  }
}

/** The agent's part of one round at one task. */
export class TaskRound {
  readonly reported = deferred<{ kind: string; reason?: string }>();
  ends: readonly SavedEnd[] = [];
  control: JsonPeer | undefined;
  readonly #bed: ResumeBed;
  readonly #task: string;
  readonly #epoch: number;

  constructor(bed: ResumeBed, task: string, epoch: number) {
    this.#bed = bed;
    this.#task = task;
    this.#epoch = epoch;
  }

  async prepare(keepFrozen: boolean, deadlineMs = 60_000): Promise<void> {
    const kernel = this.#bed.kernel(this.#task);
    const app = this.#bed.app(this.#task);
    this.control = await this.#bed.proxies.interceptor(this.#task).control({
      block: () => kernel.block(BLOCK_MS),
      freeze: () => {
        app.frozen = true;
      },
      save: () => {
        this.ends = app.save();
      },
      advance: () => kernel.unblock(),
      unblock: () => kernel.unblock(),
      thaw: () => {
        app.frozen = false;
      },
      discard: () => undefined,
      report: (outcome) => this.reported.resolve(outcome),
    });
    await this.control.call('prepare', { epoch: this.#epoch, deadlineMs, keepFrozen });
  }

  async finish(): Promise<void> {
    await this.control?.call('finish');
    this.control?.close();
  }
}

/**
 * What the coordinator would plan for tasks that come back.
 * @param saved by task @param present address by task, also of those that stay
 */
export function plansFor(
  saved: ReadonlyMap<string, SavedTask>,
  present: ReadonlyMap<string, string>,
  staying: readonly StayingTask[] = [],
): Map<string, StreamPlan[]> {
  const on = (address: string): Alias[] => [{ address, network: 'bed' }];
  const tasks = [...saved].map(([key, { record, addresses }]) => ({
    key,
    streams: record.streams,
    aliases: addresses.slice(1).flatMap(on),
    addresses: on(addresses[0] ?? ''),
    newAddresses: on(present.get(key) ?? ''),
  }));
  const plans = planProxies({ stack: 'bed', epoch: 1, tasks, staying });
  return new Map([...plans].map(([key, { streams }]) => [key, [...streams]]));
}

/** The condition of a consistent cut. @returns bytes recorded */
export function checked(saved: ReadonlyMap<string, SavedTask>, partial = false): number {
  const tasks = [...saved].map(([key, { record }]) => ({ key, streams: record.streams }));
  const wrong = checkStreams(pairStreams(tasks), { partial }).filter(({ ok }) => !ok);
  expect(wrong.map((check) => `${streamChannelText(check)}: ${check.reason}`)).toEqual([]);
  return tasks.flatMap(({ streams }) => streams).reduce((sum, { recorded }) => sum + recorded, 0);
}
