// Original file: proto/agent.proto


export interface VerifyRequest {
  'snapshotId'?: (string);
  'snapshotKey'?: (Buffer | Uint8Array | string);
}

export interface VerifyRequest__Output {
  'snapshotId': (string);
  'snapshotKey': (Buffer);
}
