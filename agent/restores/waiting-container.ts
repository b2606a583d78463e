import { SwarmcutError } from '../../src/model/errors.ts';
import type { TaskRef } from '../../src/model/task.ts';
import type { NetworkPlan__Output } from '../../src/rpc/generated/swarmcut/NetworkPlan.ts';
import type { Progress } from '../../src/platform/deadlines.ts';
import { deferred } from '../../src/platform/deferred.ts';
import type { UnpackedFiles } from '../files/unpack.ts';
import type { CreateAnswer, CreateRequest, RestoredAnswer, RestoredRequest } from '../runtime/shim/protocol.ts';
import type { TaskSidecar } from '../sidecars/task-sidecar.ts';

/** `broken`: its restore has failed, which neither the shim nor the engine knows yet. */
export type WaitingPhase =
  'arrived' | 'staged' | 'restoring' | 'broken' | 'restored' | 'released' | 'passed' | 'failed';

/** What `stage` has prepared for the restore. */
export interface StagedState {
  readonly imageDir: string;
  readonly workDir: string;
  /** What the task's sidecar had recorded: CHANNELS parts as files. Undefined if it had none. */
  readonly channelsDir: string | undefined;
  readonly files: UnpackedFiles;
  readonly fetchedBytes: number;
  /** All parts are what they should be: to be waited for before the release. @throws SwarmcutError `damaged` */
  readonly checked: Promise<void>;
  /** How far that is. */
  readonly checking: () => Progress;
}

/** A container that the engine wants created, and that waits in the shim for what the coordinator decides. */
export class WaitingContainer {
  readonly request: CreateRequest;
  readonly task: TaskRef;
  /** What the shim's `create` is answered. */
  readonly decision = deferred<CreateAnswer>();
  /** What the shim says about `runc restore`. */
  readonly outcome = deferred<RestoredRequest>();
  /** What the shim is answered to that. */
  readonly verdict = deferred<RestoredAnswer>();
  phase: WaitingPhase = 'arrived';
  staged: StagedState | undefined;
  /** What becomes of the files that were laid out for it, by this agent or by one before. */
  files: UnpackedFiles | undefined;
  plan: NetworkPlan__Output | undefined;
  /** Started from the record of the checkpoint; its streams wait for the release. */
  sidecar: TaskSidecar | undefined;
  /** What its restore has failed for. */
  #broken: string | undefined;

  constructor(request: CreateRequest) {
    this.request = request;
    this.task = {
      service: request.service,
      slot: slotOf(request.labels['com.docker.swarm.task.name'] ?? '', request.service),
      taskId: request.labels['com.docker.swarm.task.id'] ?? '',
      containerId: request.containerId,
    };
  }

  /** One that an earlier agent has restored, and that waits for its release. */
  static restored(request: CreateRequest, plan: NetworkPlan__Output): WaitingContainer {
    const container = new WaitingContainer(request);
    container.phase = 'restored';
    container.plan = plan;
    return container;
  }

  /** Nothing can become of it any more. */
  get decided(): boolean {
    return this.phase === 'released' || this.phase === 'passed' || this.phase === 'failed';
  }

  /** @throws SwarmcutError `precondition` unless the container is in one of these phases */
  mustBe(...phases: readonly WaitingPhase[]): void {
    if (phases.includes(this.phase)) return;
    throw new SwarmcutError(
      'precondition',
      `container ${this.task.containerId.slice(0, 12)} is ${this.phase}, not ${phases.join(' or ')}`,
      {
        where: { service: this.task.service, slot: this.task.slot },
      },
    );
  }

  /**
   * Its restore has failed. The shim is not told before {@link fail}: for a task that fails while it is still wanted, Swarm makes another one, and that one may come
   * when nobody expects it any more: it would start empty.
   */
  break(message: string): void {
    if (this.decided) return;
    this.phase = 'broken';
    this.#broken = message;
  }

  /** The container fails in whatever phase it is: the shim tells the engine why. @param reason if it is not broken */
  fail(reason: string): void {
    if (this.decided) return;
    const message = this.#broken ?? reason;
    this.phase = 'failed';
    this.decision.resolve({ action: 'fail', message });
    this.outcome.reject(new SwarmcutError('failed', message));
    this.verdict.resolve({ action: 'fail', message });
  }
}

/** `bank_branch-b.2.<task id>`: the slot is between the service's name, which may have dots, and the task's id. */
function slotOf(taskName: string, service: string): string {
  const rest = taskName.startsWith(`${service}.`) ? taskName.slice(service.length + 1) : taskName;
  return rest.split('.')[0] ?? '';
}
