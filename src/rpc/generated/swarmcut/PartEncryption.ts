// Original file: proto/agent.proto


export interface PartEncryption {
  'snapshotKey'?: (Buffer | Uint8Array | string);
  'contentKey'?: (Buffer | Uint8Array | string);
}

export interface PartEncryption__Output {
  'snapshotKey': (Buffer);
  'contentKey': (Buffer);
}
