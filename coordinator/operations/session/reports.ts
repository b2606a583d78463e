import type { Obstacle, ObstacleKind } from '../../../src/model/obstacles.ts';
import type { Vouching } from '../../../src/storage/manifest-signature.ts';
import type { InfoReply__Output } from '../../../src/rpc/generated/swarmcut/InfoReply.ts';

export interface SnapshotOptions {
  /** Overrides the stack's label. */
  readonly algorithm?: string;
  /** Overrides the stack's label: longest time that a task may stay frozen. */
  readonly freezeTimeoutMs?: number;
}

export interface RestoreOptions {
  /** Each `service=node`, or `node` for all of them. Empty: Swarm's choice. */
  readonly to: readonly string[];
  readonly timeoutMs?: number;
  /** Overrides what the manifest says. */
  readonly external?: 'close' | 'refuse';
  /** Acts on a manifest that no coordinator of this authority has signed. */
  readonly allowUnsigned?: boolean;
}

export interface VerifyOptions {
  /** That no coordinator has signed the manifest is told, and no problem. */
  readonly allowUnsigned?: boolean;
}

export interface RestoreReport {
  readonly id: string;
  readonly snapshot: string;
  readonly stack: string;
  /** Who answers for the manifest. */
  readonly manifest: Vouching['state'];
  readonly wallMs: number;
  /** From the first old task suspended to the last new one released; 0 when there were no old ones. */
  readonly downtimeMs: number;
  readonly tasks: readonly {
    readonly service: string;
    readonly slot: string;
    readonly node: string;
    readonly containerId: string;
    readonly restoreMs: number;
    readonly fetchedBytes: number;
  }[];
  /** Connections that led out of the snapshot and were reset. */
  readonly closedConnections: number;
}

export interface MigrateOptions {
  /** Only tasks on this node. */
  readonly from?: string;
  readonly to?: string;
  readonly timeoutMs?: number;
}

export interface MigrateReport {
  readonly id: string;
  readonly stack: string;
  readonly downtimeMs: number;
  readonly wallMs: number;
  readonly tasks: readonly {
    readonly service: string;
    readonly slot: string;
    readonly from: string;
    readonly to: string;
    readonly bytes: number;
  }[];
}

/** The cut condition for one direction of one connection. */
export interface VerifiedConnection {
  /** Task keys of sender and receiver. */
  readonly from: string;
  readonly to: string;
  /** Address and port of the sender's and of the receiver's end. */
  readonly local: string;
  readonly remote: string;
  /** Sent at the sender's cut, not yet received at the receiver's: in the sender's send queue. */
  readonly inFlightBytes: number;
  readonly ok: boolean;
  readonly reason?: string;
}

/** The cut condition for one direction of one proxied connection: `sent == delivered + recorded`. Bytes since it began. */
export interface VerifiedChannel {
  /** Id of the connection: the same for both directions. */
  readonly stream: string;
  readonly direction: 'to-server' | 'to-client';
  /** Task keys of sender and receiver; absent when that end was gone at its task's cut. */
  readonly from?: string;
  readonly to?: string;
  /** Address and port of the sender's and of the receiver's application. */
  readonly local: string;
  readonly remote: string;
  readonly sentBytes?: number;
  readonly deliveredBytes?: number;
  /** The channel's state: these bytes were on their way, and are in the snapshot as data. */
  readonly recordedBytes?: number;
  readonly ok: boolean;
  readonly reason?: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  /** Who answers for the manifest. */
  readonly manifest: Vouching['state'];
  /** Of an encrypted snapshot: which key it has, and whether its parts were opened with it. */
  readonly encryption?: { readonly keyId: string; readonly opened: boolean };
  readonly verifiedBytes: number;
  readonly problems: readonly string[];
  /** Connections between two kernels: checked by their sequence numbers. */
  readonly connections: readonly VerifiedConnection[];
  /** Connections through sidecars. */
  readonly channels: readonly VerifiedChannel[];
}

/** One task's sidecar. */
export interface SidecarReport {
  readonly service: string;
  readonly slot: string;
  readonly node: string;
  readonly alive: boolean;
  /** Connections that it carries. */
  readonly streams: number;
  /** Addresses of the tasks whose sidecars it is connected with. */
  readonly peers: readonly string[];
  /** Connections with peers that are older than the sidecar and pass it by. */
  readonly direct: readonly { readonly local: string; readonly remote: string }[];
  readonly rssBytes: number;
  /** 1: it has never died. */
  readonly starts: number;
}

export interface SidecarsReport {
  readonly stack: string;
  /** In the order of services and slots; tasks without one are not among them. */
  readonly sidecars: readonly SidecarReport[];
  /** Running tasks of the stack (jobs apart) that have none: `service.slot`. */
  readonly without: readonly string[];
  /** Nodes that could not be asked or told. */
  readonly unreached: readonly { readonly node: string; readonly error: string }[];
}

export interface DetachOptions {
  /** Also when connections are reset by it. */
  readonly force?: boolean;
}

export interface DetachReport {
  readonly stack: string;
  /** Sidecars that were taken away. */
  readonly sidecars: number;
  /** Connections that were reset. */
  readonly resetConnections: number;
  readonly unreached: readonly { readonly node: string; readonly error: string }[];
}

/** Something that CRIU does not carry: src/model/obstacles.ts. */
export interface ObstacleReport extends Obstacle {
  readonly effect: ObstacleKind['effect'];
  /** It is there for a moment only. */
  readonly passes: boolean;
  readonly message: string;
  readonly advice: string;
}

/** What was found in one running task. */
export interface TaskCheck {
  readonly service: string;
  readonly slot: string;
  readonly node: string;
  readonly obstacles: readonly ObstacleReport[];
  /** Why it could not be looked at. */
  readonly error?: string;
}

/** A node's answer to a check, or why there is none. */
export type NodeInfo = InfoReply__Output | { readonly node: string; readonly error: string };

/** Something that an operation has left behind. */
export interface LeftoverItem {
  /** Host name; of the coordinator's own things: that of none. */
  readonly node: string;
  readonly kind: string;
  /** Container, file or id: names it, together with node and kind. */
  readonly subject: string;
  readonly detail: string;
  /** The stack that it belongs to; empty if none, or if it is not known. */
  readonly stack: string;
  readonly state: 'left' | 'cleared' | 'in use' | 'failed';
  /** `in use`: by whom. `failed`: why. */
  readonly why?: string;
}

export interface RepairReport {
  readonly items: readonly LeftoverItem[];
  /** Nodes that could not be asked. */
  readonly unreached: readonly { readonly node: string; readonly error: string }[];
}
