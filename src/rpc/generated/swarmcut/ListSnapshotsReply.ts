// Original file: proto/agent.proto

import type { Removal as _swarmcut_Removal, Removal__Output as _swarmcut_Removal__Output } from '../swarmcut/Removal.ts';
import type { Long } from '@grpc/proto-loader';

export interface _swarmcut_ListSnapshotsReply_Entry {
  'snapshotId'?: (string);
  'stack'?: (string);
  'state'?: (string);
  'sizeBytes'?: (number | string | Long);
  'tasks'?: (number);
  'hasManifest'?: (boolean);
}

export interface _swarmcut_ListSnapshotsReply_Entry__Output {
  'snapshotId': (string);
  'stack': (string);
  'state': (string);
  'sizeBytes': (number);
  'tasks': (number);
  'hasManifest': (boolean);
}

export interface ListSnapshotsReply {
  'snapshots'?: (_swarmcut_ListSnapshotsReply_Entry)[];
  'removed'?: (_swarmcut_Removal)[];
}

export interface ListSnapshotsReply__Output {
  'snapshots': (_swarmcut_ListSnapshotsReply_Entry__Output)[];
  'removed': (_swarmcut_Removal__Output)[];
}
