// Original file: proto/agent.proto


export interface SealedManifest {
  'snapshotId'?: (string);
  'manifest'?: (Buffer | Uint8Array | string);
  'signature'?: (Buffer | Uint8Array | string);
  'key'?: (Buffer | Uint8Array | string);
}

export interface SealedManifest__Output {
  'snapshotId': (string);
  'manifest': (Buffer);
  'signature': (Buffer);
  'key': (Buffer);
}
