// Original file: proto/agent.proto


export interface SnapshotRequest {
  'snapshotId'?: (string);
}

export interface SnapshotRequest__Output {
  'snapshotId': (string);
}
