// Original file: proto/agent.proto


export interface AbortRequest {
  'snapshotId'?: (string);
  'reason'?: (string);
}

export interface AbortRequest__Output {
  'snapshotId': (string);
  'reason': (string);
}
