import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { seconds, type Progress } from '../../src/platform/deadlines.ts';
import type { DumpTimes } from '../../src/model/checkpoint.ts';
import type { TaskHandle } from '../../src/execution/real-time-executor.ts';
import { dumpProgress } from '../runtime/criu/progress.ts';
import type { Runc } from '../runtime/criu/runc.ts';
import type { ContainerFacts } from '../runtime/docker/containers.ts';
import { openFiles, processTree, type OpenFile } from '../linux/process-tree.ts';
import { saveLinkRemaps } from '../files/link-remaps.ts';
import { saveFiles, type SavedFiles } from '../files/save.ts';
import { prodStalled, pushUnsent } from '../network/rewriting/push-unsent.ts';
import { writeSurroundings, type Surroundings } from '../surroundings/record.ts';
import { withSettings } from '../surroundings/save.ts';
import { FollowingDump, type FollowedFile } from '../checkpoints/following-dump.ts';
import type { HeldTask } from './held-task.ts';
import { failPoint } from '../../src/platform/fail-points.ts';

export interface ContainerTaskOptions {
  readonly facts: ContainerFacts;
  /** The same container: block and freeze. */
  readonly held: HeldTask;
  readonly runc: Pick<Runc, 'checkpoint'>;
  /** Directory for the images and tars of this dump; made by `save`, gone with `discard`. */
  readonly stageDir: string;
  /** Longest time frozen, milliseconds: after it the dead man's switch thaws, whatever has become of the agent. */
  readonly deadlineMs: number;
  /** How large the dump may get, about. */
  readonly estimatedBytes: number;
  /** Where the container has inotify watches: CRIU must be told (agent/linux/inotify.ts). */
  readonly inotifyPaths: readonly string[];
  /** What the task lives in and CRIU does not save. */
  readonly surroundings: Surroundings;
  /** It stands still until its parts have names: they are hashed while CRIU writes. */
  readonly hashEarly: boolean;
  /** What was seen before the freeze that a restored program will miss, in words for the user. */
  readonly notes: readonly string[];
}

/** What `save` has recorded, still in the stage. */
export interface StagedDump {
  readonly imageDir: string;
  /** CRIU's log and statistics. */
  readonly workDir: string;
  readonly files: SavedFiles;
  /** Images that are being hashed already, by their names. */
  readonly followed: ReadonlyMap<string, FollowedFile>;
}

/** CRIU's own limit for stopping all processes. Seconds. */
const CRIU_STOPS_WITHIN_S = 10;

/** CRIU puts right what it has stopped before the dead man's switch thaws it. */
const STOPPING_SHARE = 0.8;

const SAVING = 'it is being saved';

/** One running container in a round, under either interceptor: block and freeze it, dump it, let it go. */
export class ContainerTask implements TaskHandle {
  readonly #options: ContainerTaskOptions;
  readonly #abort = new AbortController();
  #saving: Promise<unknown> = Promise.resolve();
  #staged: StagedDump | undefined;
  /** What is done to it; and how often that has changed. */
  #step = { doing: 'it is not its turn yet', count: 0 };
  #stoodSinceAt: number | undefined;
  #interrupted: string | undefined;
  #failure: unknown;
  /** Of all its processes, as they were while it was frozen. */
  #openFiles: readonly OpenFile[] = [];
  #times: DumpTimes = {
    holdAtMs: 0,
    frozenAtMs: 0,
    thawedAtMs: 0,
    freezingUs: 0,
    frozenUs: 0,
    memdumpUs: 0,
    memwriteUs: 0,
    pagesWritten: 0,
    dumpWallUs: 0,
    filesWallUs: 0,
  };

  constructor(options: ContainerTaskOptions) {
    this.#options = options;
  }

  get times(): DumpTimes {
    return this.#times;
  }

  get staged(): StagedDump | undefined {
    return this.#staged;
  }

  /** How far it is in its round. */
  async progress(): Promise<Progress> {
    const { doing, count } = this.#step;
    const { stageDir, estimatedBytes } = this.#options;
    if (doing !== SAVING) return { doing, mark: String(count) };
    const dump = await dumpProgress(foldersOf(stageDir), estimatedBytes);
    return { doing: dump.doing, mark: `${count}/${dump.mark}` };
  }

  /** What was under way when it was discarded, and for how long it had been standing still. Undefined if nothing was. */
  get interrupted(): string | undefined {
    return this.#interrupted;
  }

  /** Why the last `save` has failed. */
  get failure(): unknown {
    return this.#failure;
  }

  async block(): Promise<void> {
    this.#begin('it is being blocked');
    this.#stoodSinceAt = performance.now();
    const { held, deadlineMs } = this.#options;
    await held.block(deadlineMs);
    this.#times = { ...this.#times, holdAtMs: Date.now() };
  }

  async freeze(): Promise<void> {
    this.#begin('it is being frozen');
    await this.#options.held.freeze();
    this.#times = { ...this.#times, frozenAtMs: Date.now() };
  }

  async save(): Promise<void> {
    this.#begin(SAVING);
    const saving = this.#save();
    this.#saving = saving.catch((error: unknown) => void (this.#failure = error));
    try {
      await saving;
    } catch (error) {
      // Says itself what was under way.
      this.#stoodSinceAt = undefined;
      throw error;
    }
    this.#begin('it is saved, and waits for the others');
  }

  async advance(epoch: number): Promise<void> {
    await this.#options.held.advance(epoch);
  }

  async unblock(): Promise<void> {
    await this.#options.held.unblock();
  }

  async thaw(): Promise<void> {
    // The block is open. What was sent into it waits for a timer: what had been sent before it, and what counts as unsent.
    if (this.#options.held.state === 'frozen') prodStalled(this.#openFiles);
    await this.#options.held.thaw(() => {
      pushUnsent(this.#openFiles);
      this.#times = { ...this.#times, thawedAtMs: Date.now() };
    });
  }

  async discard(): Promise<void> {
    if (this.#stoodSinceAt !== undefined && this.#staged === undefined) {
      const { doing } = await this.progress();
      this.#interrupted ??= `after ${seconds(performance.now() - this.#stoodSinceAt)}, ${doing}`;
    }
    this.#abort.abort();
    await this.#saving;
    this.#staged = undefined;
    await rm(this.#options.stageDir, { recursive: true, force: true });
  }

  #begin(doing: string): void {
    this.#step = { doing, count: this.#step.count + 1 };
  }

  /** Dump and files at the same time: both only read, and the task is frozen until both have ended. */
  async #save(): Promise<void> {
    const { facts, held, runc, stageDir, deadlineMs, inotifyPaths, surroundings, notes, hashEarly } = this.#options;
    await failPoint('agent.dump');
    const { imageDir, workDir, filesDir } = foldersOf(stageDir);
    for (const dir of [imageDir, workDir, filesDir]) await mkdir(dir, { recursive: true, mode: 0o700 });
    const signal = this.#abort.signal;
    const begun = performance.now();
    const since = (): number => Math.round((performance.now() - begun) * 1000);
    using following = hashEarly ? new FollowingDump(imageDir) : undefined;
    const criu = { inotifyPaths, stopTimeoutS: stopTimeoutS(deadlineMs) };
    const dump = runc.checkpoint(facts.id, { imagePath: imageDir, workPath: workDir, criu, signal }).then(since);
    const files = saveFiles(facts, filesDir, { signal }).then((saved) => ({ saved, wallUs: since() }));
    const sockets = processTree(facts.pid).then(openFiles);
    const around = withSettings(facts.pid, surroundings);
    // All must have ended, well or not, before anything is thawed or deleted.
    const [dumped, filed, opened, surrounded] = await Promise.allSettled([dump, files, sockets, around]);
    if (opened.status === 'fulfilled') this.#openFiles = opened.value;
    if (dumped.status === 'rejected') throw dumped.reason;
    if (filed.status === 'rejected') throw filed.reason;
    if (surrounded.status === 'rejected') throw surrounded.reason;
    await failPoint('agent.dumped');
    if (await held.thawedByDeadman())
      throw new Error("the dead man's switch thawed the task before its dump had ended");
    this.#times = { ...this.#times, dumpWallUs: dumped.value, filesWallUs: filed.value.wallUs };
    await writeSurroundings(imageDir, surrounded.value);
    const saved = await saveLinkRemaps(facts, imageDir, filesDir, filed.value.saved, { signal });
    const followed = (await following?.ended()) ?? new Map<string, FollowedFile>();
    this.#staged = { imageDir, workDir, files: { ...saved, notes: [...saved.notes, ...notes] }, followed };
  }
}

/** Not less than CRIU takes by itself. */
function stopTimeoutS(deadlineMs: number): number {
  return Math.max(CRIU_STOPS_WITHIN_S, Math.floor((STOPPING_SHARE * deadlineMs) / 1000));
}

function foldersOf(stageDir: string): { imageDir: string; workDir: string; filesDir: string } {
  return { imageDir: join(stageDir, 'criu'), workDir: join(stageDir, 'work'), filesDir: join(stageDir, 'files') };
}
