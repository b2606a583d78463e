// Original file: proto/agent.proto

import type { Long } from '@grpc/proto-loader';

export interface PrepareReply {
  'estimatedBytes'?: (number | string | Long);
  'stage'?: (string);
}

export interface PrepareReply__Output {
  'estimatedBytes': (number);
  'stage': (string);
}
