// Original file: proto/agent.proto

import type { Long } from '@grpc/proto-loader';

export interface StageReply {
  'fetchedBytes'?: (number | string | Long);
}

export interface StageReply__Output {
  'fetchedBytes': (number);
}
