// Original file: proto/types.proto

import type { Long } from '@grpc/proto-loader';

// Original file: proto/types.proto

export const _swarmcut_Part_Kind = {
  CRIU: 'CRIU',
  UPPER: 'UPPER',
  VOLUME: 'VOLUME',
  SHM: 'SHM',
  CHANNELS: 'CHANNELS',
} as const;

export type _swarmcut_Part_Kind =
  | 'CRIU'
  | 0
  | 'UPPER'
  | 1
  | 'VOLUME'
  | 2
  | 'SHM'
  | 3
  | 'CHANNELS'
  | 4

export type _swarmcut_Part_Kind__Output = typeof _swarmcut_Part_Kind[keyof typeof _swarmcut_Part_Kind]

export interface Part {
  'kind'?: (_swarmcut_Part_Kind);
  'path'?: (string);
  'sha256'?: (string);
  'sizeBytes'?: (number | string | Long);
  'wrappedKey'?: (string);
}

export interface Part__Output {
  'kind': (_swarmcut_Part_Kind__Output);
  'path': (string);
  'sha256': (string);
  'sizeBytes': (number);
  'wrappedKey': (string);
}
