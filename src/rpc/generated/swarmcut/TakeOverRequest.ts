// Original file: proto/agent.proto


export interface TakeOverRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
  'snapshotId'?: (string);
}

export interface TakeOverRequest__Output {
  'restoreId': (string);
  'containerId': (string);
  'snapshotId': (string);
}
