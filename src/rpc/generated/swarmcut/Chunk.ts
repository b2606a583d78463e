// Original file: proto/agent.proto

import type { Long } from '@grpc/proto-loader';

export interface Chunk {
  'sha256'?: (string);
  'offset'?: (number | string | Long);
  'data'?: (Buffer | Uint8Array | string);
  'last'?: (boolean);
}

export interface Chunk__Output {
  'sha256': (string);
  'offset': (number);
  'data': (Buffer);
  'last': (boolean);
}
