/** One Swarm task and the container that runs it. Same shape as `TaskRef` in proto/types.proto. */
export interface TaskRef {
  /** Service name with its stack prefix, e.g. `bank_branch-a`. */
  readonly service: string;
  /** `"1"`, `"2"` … of a replicated service; the node's host name for a global one. */
  readonly slot: string;
  /** Swarm's id of the task. */
  readonly taskId: string;
  /** The engine's full container id. */
  readonly containerId: string;
}

/** `service.slot`: what stays the same when a task is restored elsewhere. Unique within a stack. */
export function taskKey(task: Pick<TaskRef, 'service' | 'slot'>): string {
  return `${task.service}.${task.slot}`;
}

/** An address that sockets of a task may be bound to, and the network that it belonged to. */
export interface Alias {
  readonly address: string;
  readonly network: string;
}
