import type { Connection, Endpoint } from '../../model/connection.ts';
import type { StreamPlan } from '../../model/proxy-plan.ts';
import { field, listField, optionalField } from './fields.ts';

/** With what a sidecar of a restored task starts: the record of its checkpoint, and what to do with each stream. */
export interface SidecarRestore {
  /** Folder with the CHANNELS parts. */
  readonly folder: string;
  /** The task's connections as CRIU has recorded them. */
  readonly connections: readonly Connection[];
  /** `ProxyPlan` of proto/agent.proto. */
  readonly plan: {
    readonly streams: readonly (Omit<StreamPlan, 'peer'> & { readonly peer?: Endpoint | null | undefined })[];
  };
}

/** What a sidecar is told on stdin when it starts (the key must not stand on a command line). */
export interface StartConfig {
  /** The task's network namespace: `/proc/PID/ns/net` or `/run/netns/NAME`. */
  readonly netns: string;
  /** The task's first process: the sidecar ends with it. */
  readonly pid?: number;
  /** The task, for logs and reports. */
  readonly task: string;
  /** The stack's key, base64. */
  readonly key: string;
  /** The last epoch of the stack. */
  readonly epoch: number;
  /** Where it listens for its agent: a Unix socket. */
  readonly socket: string;
  readonly logFile?: string;
  /** The stack's networks that the task is on, CIDR. Empty: those that the network view names. */
  readonly subnets: readonly string[];
  /** The task's addresses there. Empty: all that its namespace has. */
  readonly own: readonly { readonly address: string }[];
  /** Previous addresses of the task. */
  readonly previousAddresses: readonly string[];
  /** The task is a restored one: its connections go on after `resume`. */
  readonly restore?: SidecarRestore;
}

/** @throws Error that names what is wrong */
export function readStartConfig(json: unknown): StartConfig {
  const pid = optionalField(json, 'pid', 'number');
  const logFile = optionalField(json, 'logFile', 'string');
  const restore = optionalField(json, 'restore', 'object') as SidecarRestore | undefined;
  return {
    netns: field(json, 'netns', 'string'),
    task: field(json, 'task', 'string'),
    key: field(json, 'key', 'string'),
    epoch: field(json, 'epoch', 'number'),
    socket: field(json, 'socket', 'string'),
    subnets: listField(json, 'subnets', 'string'),
    own: listField(json, 'own', 'object').map((own) => ({ address: field(own, 'address', 'string') })),
    previousAddresses: listField(json, 'previousAddresses', 'string'),
    ...(pid !== undefined && { pid }),
    ...(logFile !== undefined && { logFile }),
    ...(restore !== undefined && { restore }),
  };
}
