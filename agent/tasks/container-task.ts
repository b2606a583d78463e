import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DumpTimes } from '../../src/model/checkpoint.ts';
import type { TaskHandle } from '../../src/execution/real-time-executor.ts';
import type { Runc } from '../runtime/criu/runc.ts';
import type { ContainerFacts } from '../runtime/docker/containers.ts';
import { openFiles, processTree, type OpenFile } from '../linux/process-tree.ts';
import { saveLinkRemaps } from '../files/link-remaps.ts';
import { saveFiles, type SavedFiles } from '../files/save.ts';
import { pushUnsent } from '../network/rewriting/push-unsent.ts';
import { writeSurroundings, type Surroundings } from '../surroundings/record.ts';
import { withSettings } from '../surroundings/save.ts';
import type { HeldTask } from './held-task.ts';

export interface ContainerTaskOptions {
  readonly facts: ContainerFacts;
  /** The same container: block and freeze. */
  readonly held: HeldTask;
  readonly runc: Pick<Runc, 'checkpoint'>;
  /** Directory for the images and tars of this dump; made by `save`, gone with `discard`. */
  readonly stageDir: string;
  /** Longest time frozen, milliseconds: after it the dead man's switch thaws, whatever has become of the agent. */
  readonly deadlineMs: number;
  /** Where the container has inotify watches: CRIU must be told (agent/linux/inotify.ts). */
  readonly inotifyPaths: readonly string[];
  /** What the task lives in and CRIU does not save. */
  readonly surroundings: Surroundings;
  /** What was seen before the freeze that a restored program will miss, in words for the user. */
  readonly notes: readonly string[];
}

/** What `save` has recorded, still in the stage. */
export interface StagedDump {
  readonly imageDir: string;
  /** CRIU's log and statistics. */
  readonly workDir: string;
  readonly files: SavedFiles;
}

/** One running container in a round, under either interceptor: block and freeze it, dump it, let it go. */
export class ContainerTask implements TaskHandle {
  readonly #options: ContainerTaskOptions;
  readonly #abort = new AbortController();
  #saving: Promise<unknown> = Promise.resolve();
  #staged: StagedDump | undefined;
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

  /** Why the last `save` has failed. */
  get failure(): unknown {
    return this.#failure;
  }

  async block(): Promise<void> {
    const { held, deadlineMs } = this.#options;
    await held.block(deadlineMs);
    this.#times = { ...this.#times, holdAtMs: Date.now() };
  }

  async freeze(): Promise<void> {
    await this.#options.held.freeze();
    this.#times = { ...this.#times, frozenAtMs: Date.now() };
  }

  async save(): Promise<void> {
    const saving = this.#save();
    this.#saving = saving.catch((error: unknown) => void (this.#failure = error));
    await saving;
  }

  async advance(epoch: number): Promise<void> {
    await this.#options.held.advance(epoch);
  }

  async unblock(): Promise<void> {
    await this.#options.held.unblock();
  }

  async thaw(): Promise<void> {
    await this.#options.held.thaw(() => {
      // What was sent into the block counts as unsent, and would wait for a timer.
      pushUnsent(this.#openFiles);
      this.#times = { ...this.#times, thawedAtMs: Date.now() };
    });
  }

  async discard(): Promise<void> {
    this.#abort.abort();
    await this.#saving;
    this.#staged = undefined;
    await rm(this.#options.stageDir, { recursive: true, force: true });
  }

  /** Dump and files at the same time: both only read, and the task is frozen until both have ended. */
  async #save(): Promise<void> {
    const { facts, held, runc, stageDir, inotifyPaths, surroundings, notes } = this.#options;
    const imageDir = join(stageDir, 'criu');
    const workDir = join(stageDir, 'work');
    const filesDir = join(stageDir, 'files');
    for (const dir of [imageDir, workDir, filesDir]) await mkdir(dir, { recursive: true, mode: 0o700 });
    const signal = this.#abort.signal;
    const begun = performance.now();
    const since = (): number => Math.round((performance.now() - begun) * 1000);
    const criu = { inotifyPaths };
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
    if (await held.thawedByDeadman())
      throw new Error("the dead man's switch thawed the task before its dump had ended");
    this.#times = { ...this.#times, dumpWallUs: dumped.value, filesWallUs: filed.value.wallUs };
    await writeSurroundings(imageDir, surrounded.value);
    const saved = await saveLinkRemaps(facts, imageDir, filesDir, filed.value.saved, { signal });
    this.#staged = { imageDir, workDir, files: { ...saved, notes: [...saved.notes, ...notes] } };
  }
}
