// Original file: proto/agent.proto

import type { Long } from '@grpc/proto-loader';

export interface PreserveReply {
  'writtenBytes'?: (number | string | Long);
  'wallMs'?: (number);
}

export interface PreserveReply__Output {
  'writtenBytes': (number);
  'wallMs': (number);
}
