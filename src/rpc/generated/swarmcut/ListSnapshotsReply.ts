// Original file: proto/agent.proto

import type { Long } from '@grpc/proto-loader';

export interface _swarmcut_ListSnapshotsReply_Entry {
  'snapshotId'?: (string);
  'stack'?: (string);
  'state'?: (string);
  'sizeBytes'?: (number | string | Long);
  'tasks'?: (number);
}

export interface _swarmcut_ListSnapshotsReply_Entry__Output {
  'snapshotId': (string);
  'stack': (string);
  'state': (string);
  'sizeBytes': (number);
  'tasks': (number);
}

export interface ListSnapshotsReply {
  'snapshots'?: (_swarmcut_ListSnapshotsReply_Entry)[];
}

export interface ListSnapshotsReply__Output {
  'snapshots': (_swarmcut_ListSnapshotsReply_Entry__Output)[];
}
