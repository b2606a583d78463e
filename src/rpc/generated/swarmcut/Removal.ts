// Original file: proto/agent.proto


export interface Removal {
  'snapshotId'?: (string);
  'signature'?: (Buffer | Uint8Array | string);
  'certificate'?: (string);
}

export interface Removal__Output {
  'snapshotId': (string);
  'signature': (Buffer);
  'certificate': (string);
}
