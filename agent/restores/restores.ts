import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Connection } from '../../src/model/connection.ts';
import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import type { NetworkPlan__Output } from '../../src/rpc/generated/swarmcut/NetworkPlan.ts';
import type { ProxyPlan__Output } from '../../src/rpc/generated/swarmcut/ProxyPlan.ts';
import type { RestoreEvent } from '../../src/rpc/generated/swarmcut/RestoreEvent.ts';
import { followed } from '../../src/platform/activity.ts';
import { within } from '../../src/platform/deadlines.ts';
import type { Logger } from '../../src/platform/logger.ts';
import { restoreProgress } from '../runtime/criu/progress.ts';
import { findRuncRoot, restoreArguments, restoreEnvironment, Runc } from '../runtime/criu/runc.ts';
import type { Expectations } from '../runtime/shim/expectations.ts';
import type { CreateAnswer, CreateRequest, RestoredAnswer, RestoredRequest } from '../runtime/shim/protocol.ts';
import type { ShimHandler } from '../runtime/shim/server.ts';
import type { Sidecars } from '../sidecars/sidecars.ts';
import { returnLimits } from '../surroundings/resource-limits.ts';
import { applySurroundings } from '../surroundings/restore.ts';
import { NOTHING_PROXIED, proxiedConnections } from './proxied-connections.ts';
import type { RestoredNetwork } from './restored-network.ts';
import { RestoredRecords } from './restored-records.ts';
import type { StageOptions, StateStager } from './state-stager.ts';
import type { PartSource } from '../transfer/index.ts';
import type { HeldTasks } from '../tasks/held-tasks.ts';
import { relocation } from '../tasks/holder.ts';
import { RestoreSession } from './restore-session.ts';
import { WaitingContainer } from './waiting-container.ts';
import { failPoint } from '../../src/platform/fail-points.ts';

/** A sidecar that does not answer `resume` must not keep its task from being released: what it carries ends by its own time-outs. */
const RESUME_TIMEOUT_MS = 5_000;

/**
 * Until its release, a restored container is blocked for at most this long: longer than its predecessor may stay frozen without a word
 * (IN_DOUBT_MS in coordinator/operations/relocation/old-tasks.ts, 10 minutes). Milliseconds.
 */
const BLOCK_MS = 660_000;

/**
 * A restored container whose coordinator is gone waits for its release for at most this long: it has failed before the deadline of its frozen
 * predecessor lets that one go on. Milliseconds.
 */
const GIVE_UP_MS = 540_000;

export interface RestoresOptions {
  readonly runDir: string;
  readonly expectations: Expectations;
  readonly stager: StateStager;
  readonly network: RestoredNetwork;
  readonly held: Pick<HeldTasks, 'release' | 'releaseUndecided'>;
  readonly sidecars: Pick<Sidecars, 'attachRestored' | 'afterRestore' | 'end' | 'of' | 'warmUp'>;
  readonly log: Logger;
}

/**
 * The restores and migrations that are under way on this node: what waits in the shim, and what becomes of it. A container that was made for a
 * restore waits until the coordinator has decided, whatever happens to the coordinator or to this agent: it never starts as anything else.
 */
export class Restores implements ShimHandler {
  readonly #sessions = new Map<string, RestoreSession>();
  readonly #options: RestoresOptions;
  readonly #records: RestoredRecords;

  constructor(options: RestoresOptions) {
    this.#options = options;
    this.#records = new RestoredRecords(options.runDir);
    // An agent before this one has expected them: what was under way is lost, but nobody has said that it is over.
    for (const { restoreId, stack } of options.expectations.restores())
      this.#open(restoreId, stack).givenUp = 'the agent was restarted';
  }

  /** Takes over the containers that an earlier agent has restored and not released. Before shims ask for them. */
  async open(): Promise<void> {
    const records = await this.#records.all();
    const filesOf = await this.#options.stager.adoptFiles(new Set(records.map(({ restoreId }) => restoreId)));
    for (const { restoreId, request, plan } of records) {
      const container = WaitingContainer.restored(request, plan);
      container.sidecar = this.#options.sidecars.of(request.containerId);
      const session = this.#sessions.get(restoreId);
      container.files = filesOf(restoreId);
      if (session !== undefined) {
        session.add(container);
        continue;
      }
      // Its restore was over before it was released: it has failed.
      await this.#records.forget(request.containerId);
      await container.files.undo();
    }
  }

  // --- the coordinator's side ---

  /** @param sources from where parts may come */
  expect(restoreId: string, stack: string, services: readonly string[], sources: readonly PartSource[] = []): void {
    this.#options.expectations.add(restoreId, stack, services);
    const session = this.#sessions.get(restoreId) ?? this.#open(restoreId, stack);
    session.sources = sources;
  }

  /** Those of which containers are expected, whether they are under way or not; and the ids of tasks whose containers wait for them. */
  list(): { restoreId: string; stack: string; waiting: string[] }[] {
    return this.#options.expectations.restores().map(({ restoreId, stack }) => {
      const open = [...(this.#sessions.get(restoreId)?.containers ?? [])].filter(({ decided }) => !decided);
      return { restoreId, stack, waiting: open.map(({ task }) => task.taskId) };
    });
  }

  /** Whether it is under way here, or expected to go on. */
  has(restoreId: string): boolean {
    return this.#sessions.has(restoreId);
  }

  async *watch(restoreId: string, signal: AbortSignal): AsyncGenerator<RestoreEvent> {
    yield* this.#session(restoreId).watch(signal);
  }

  pass(restoreId: string, containerId: string): void {
    const session = this.#session(restoreId);
    const container = session.container(containerId);
    if (container.phase === 'passed') return;
    container.mustBe('arrived');
    container.phase = 'passed';
    container.decision.resolve({ action: 'pass' });
    session.event(container, 'PASSED');
  }

  async stage(
    restoreId: string,
    containerId: string,
    request: Pick<StageOptions, 'saved' | 'parts' | 'sources' | 'inMemory' | 'ticket' | 'keys'>,
    signal: AbortSignal,
  ): Promise<number> {
    const session = this.#session(restoreId);
    const container = session.container(containerId);
    if (container.staged !== undefined) return container.staged.fetchedBytes;
    container.mustBe('arrived');
    await failPoint('agent.stage');
    container.mustBe('arrived'); // else what is begun now would be ended by nobody
    const { bundle } = container.request;
    if (request.parts.some(({ kind }) => kind === 'CHANNELS')) this.#options.sidecars.warmUp(containerId);
    const staged = await this.#options.stager.stage({ restoreId, containerId, bundle, ...request }, signal, {
      progress: (done, total) => session.event(container, 'FETCHING', { bytesDone: done, bytesTotal: total }),
      remark: (detail) => session.event(container, 'FETCHING', { detail }),
    });
    await failPoint('agent.staged');
    if (container.phase !== 'arrived') {
      await staged.files.undo();
      container.mustBe('arrived');
    }
    container.staged = staged;
    container.files = staged.files;
    container.phase = 'staged';
    session.event(container, 'STAGED');
    return staged.fetchedBytes;
  }

  /** @returns milliseconds from the shim's release to the end of `runc restore` */
  async restore(
    restoreId: string,
    containerId: string,
    plan: NetworkPlan__Output,
    connections: readonly Connection[],
    proxy: ProxyPlan__Output | null,
  ): Promise<number> {
    const session = this.#session(restoreId);
    const container = session.container(containerId);
    container.mustBe('staged');
    const { staged, request } = container;
    if (staged === undefined) throw new SwarmcutError('internal', 'staged, but nothing is staged');
    container.plan = plan;
    const { imageDir, channelsDir } = staged;
    await this.#options.network.prepare({
      bundle: request.bundle,
      dir: this.#dir(restoreId, containerId),
      // Outlives the restore, whose end may be told before the engine calls `start`.
      startDir: join(this.#options.runDir, 'at-start', containerId),
      imageDir,
      plan,
      proxied: channelsDir === undefined ? NOTHING_PROXIED : await proxiedConnections(channelsDir, connections),
      hasSidecar: channelsDir !== undefined,
      blockTimeoutMs: BLOCK_MS,
    });
    await failPoint('agent.restore');
    const begun = performance.now();
    container.phase = 'restoring';
    container.decision.resolve({
      action: 'restore',
      args: restoreArguments({
        containerId,
        bundle: request.bundle,
        pidFile: pidFileOf(request),
        imagePath: imageDir,
        workPath: staged.workDir,
        ...(request.consoleSocket === undefined ? {} : { consoleSocket: request.consoleSocket }),
      }),
      env: restoreEnvironment(await this.#options.stager.criuConfig(staged)),
    });
    const outcome = await outcomeOf(container, staged.workDir);
    if (outcome.code !== 0) {
      // CRIU may have met with what was wrong in it before it was found.
      const damage = await staged.checked.then(() => undefined, swarmcutError);
      const error = damage ?? (await this.#options.stager.restoreError(containerId, staged, outcome.log));
      container.break(error.message);
      session.event(container, 'FAILED', { detail: error.message });
      throw error;
    }
    await this.#orFail(session, container, async () => {
      // CRIU has said that all is well; the kernel must say so too before anybody relies on it.
      const pid = Number(await readFile(pidFileOf(request), 'utf8'));
      await this.#options.network.check(pid, connections);
      await applySurroundings(pid, imageDir);
      await returnLimits(request.bundle, async (resources) =>
        new Runc({ root: await findRuncRoot(containerId) }).update(containerId, resources),
      );
      if (proxy !== null && channelsDir !== undefined) await this.#attach(container, channelsDir, connections, proxy);
      await failPoint('agent.check');
      using _checking = followed(staged.checking);
      await staged.checked;
    });
    await failPoint('agent.restored');
    await this.#records.note({ restoreId, request, plan });
    container.phase = 'restored';
    session.event(container, 'RESTORED');
    return Math.round(performance.now() - begun);
  }

  async releaseRestored(restoreId: string, containerId: string): Promise<void> {
    // Also of one that this agent has only taken over: it may be committed.
    const session = this.#sessions.get(restoreId) ?? this.#session(restoreId);
    const container = session.container(containerId);
    if (container.phase === 'released') return;
    container.mustBe('restored');
    const { plan, files } = container;
    const pid = Number(await readFile(pidFileOf(container.request), 'utf8'));
    if (plan !== undefined) await this.#options.network.release(containerId, pid, plan);
    await this.#resume(container);
    await failPoint('agent.released');
    container.phase = 'released';
    container.verdict.resolve({ action: 'ok' });
    session.event(container, 'RELEASED');
    await container.files?.seal().catch((error: unknown) => this.#complain('tidy up after', container, error));
    await this.#records.forget(containerId);
    // The task runs: what is left to do must not keep the others waiting.
    void Promise.all([this.#options.network.tidy(pid), files?.commit()]).catch((error: unknown) =>
      this.#complain('tidy up after', container, error),
    );
    void this.#options.sidecars
      .afterRestore(container.task, container.request.labels)
      .catch((error: unknown) => this.#complain('attach a sidecar to', container, error));
  }

  /** @param servicesAreBack nothing is made for this restore any more; until then, what is made for it goes on waiting */
  async abort(restoreId: string, reason: string, servicesAreBack: boolean): Promise<void> {
    const session = this.#sessions.get(restoreId);
    if (session !== undefined) session.givenUp ??= reason;
    // They have been standing still long enough, and the new ones are blocked until their release.
    const resumed = this.#options.held.release(relocation(restoreId), reason);
    if (servicesAreBack) this.#options.expectations.remove(restoreId);
    for (const container of session?.containers ?? []) {
      if ((container.phase === 'arrived' || container.phase === 'broken') && !servicesAreBack) continue;
      await this.#fail(container, `the restore was given up: ${reason}`);
    }
    await resumed;
    if (servicesAreBack) await this.#close(session);
  }

  /** It is committed. What has come meanwhile, and was not part of it, fails: the orchestrator makes an ordinary one. */
  async end(restoreId: string): Promise<void> {
    const session = this.#sessions.get(restoreId);
    this.#options.expectations.remove(restoreId);
    for (const container of session?.containers ?? [])
      await this.#fail(container, 'made while its service was being restored: another one follows');
    await this.#close(session);
  }

  // --- the shim's side ---

  async create(request: CreateRequest, signal: AbortSignal): Promise<CreateAnswer> {
    const restoreId = this.#options.expectations.expectedBy(request.service);
    const session = restoreId === undefined ? undefined : this.#sessions.get(restoreId);
    if (session === undefined) {
      // Starting it empty could be wrong; failing never is: Swarm makes another one.
      return { action: 'fail', message: `swarmcut: the restore of service ${request.service} has just ended` };
    }
    this.#options.stager.warmUp(session.sources);
    return session.arrived(request, signal).decision.promise;
  }

  async restored(request: RestoredRequest, signal: AbortSignal): Promise<RestoredAnswer> {
    for (const session of this.#sessions.values()) {
      const container = session.find(request.containerId);
      if (container === undefined) continue;
      session.failWhenGone(container, signal);
      container.outcome.resolve(request);
      return container.verdict.promise;
    }
    return { action: 'fail', message: 'swarmcut: the restore is over or was given up' };
  }

  // --- inside ---

  #open(restoreId: string, stack: string): RestoreSession {
    const session = new RestoreSession({
      id: restoreId,
      stack,
      onOrphaned: () => this.#orphaned(session),
      log: this.#options.log,
    });
    this.#sessions.set(restoreId, session);
    return session;
  }

  /**
   * Nobody follows the restore any more. Old tasks go on, unless they have said that their successors may be released: only the coordinator, or
   * whoever takes its place, knows whether those were. New ones wait for it.
   */
  #orphaned(session: RestoreSession): void {
    const reason = 'its coordinator is gone';
    this.#options.log.warn({ restoreId: session.id, stack: session.stack }, 'nobody follows a restore any more');
    void this.#options.held.releaseUndecided(relocation(session.id), reason);
    setTimeout(() => {
      for (const container of session.containers)
        if (container.phase === 'restored') void this.#fail(container, `the restore was given up: ${reason}`);
    }, GIVE_UP_MS).unref();
  }

  async #fail(container: WaitingContainer, message: string): Promise<void> {
    if (container.phase === 'released' || container.phase === 'passed') return;
    container.fail(message);
    await this.#records.forget(container.task.containerId);
    await this.#options.sidecars
      .end(container.task.containerId)
      .catch((error: unknown) => this.#complain('end the sidecar of', container, error));
    await container.files?.undo().catch((error: unknown) => this.#complain('undo', container, error));
  }

  async #orFail(session: RestoreSession, container: WaitingContainer, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      container.mustBe('restoring');
    } catch (error) {
      await this.#options.sidecars.end(container.task.containerId).catch(() => undefined);
      container.break(messageOf(error));
      session.event(container, 'FAILED', { detail: messageOf(error) });
      throw error;
    }
  }

  /** Starts the sidecar that has the other ends of the task's connections, before anything can be sent to them. */
  async #attach(
    container: WaitingContainer,
    folder: string,
    connections: readonly Connection[],
    plan: ProxyPlan__Output,
  ): Promise<void> {
    container.sidecar = await this.#options.sidecars.attachRestored(container.task.containerId, {
      folder,
      connections,
      plan,
    });
  }

  /** The block is open: the sidecar wakes its ends and finds the peers' sidecars again. */
  async #resume(container: WaitingContainer): Promise<void> {
    if (container.sidecar === undefined) return;
    const late = (): Error =>
      new SwarmcutError('failed', `its sidecar did not answer within ${RESUME_TIMEOUT_MS / 1000} s; it may yet do so`);
    await within(container.sidecar.call('resume'), RESUME_TIMEOUT_MS, late).catch((error: unknown) =>
      this.#complain('resume the connections of', container, error),
    );
  }

  #session(restoreId: string): RestoreSession {
    const session = this.#sessions.get(restoreId);
    if (session !== undefined && session.givenUp === undefined) return session;
    const why = session?.givenUp ?? 'it was given up, or the agent restarted';
    throw new SwarmcutError('not-found', `this agent does not work on restore ${restoreId}: ${why}`);
  }

  async #close(session: RestoreSession | undefined): Promise<void> {
    if (session === undefined) return;
    this.#sessions.delete(session.id);
    session.close();
    await this.#options.stager.cleanUp(session.id);
  }

  #dir(restoreId: string, containerId: string): string {
    return join(this.#options.runDir, 'restore', restoreId, containerId);
  }

  #complain(step: string, container: WaitingContainer, error: unknown): void {
    this.#options.log.error({ task: container.task, reason: messageOf(error) }, `cannot ${step} a restored task`);
  }
}

/** What the shim says about `runc restore`. Meanwhile CRIU's log says how far it is. */
async function outcomeOf(container: WaitingContainer, workDir: string): Promise<RestoredRequest> {
  using _progress = followed(() => restoreProgress(workDir));
  return await container.outcome.promise;
}

function swarmcutError(error: unknown): SwarmcutError | undefined {
  return error instanceof SwarmcutError ? error : undefined;
}

/** Where `runc restore` writes the pid of the container's first process. */
function pidFileOf(request: CreateRequest): string {
  return request.pidFile ?? join(request.bundle, 'init.pid');
}
