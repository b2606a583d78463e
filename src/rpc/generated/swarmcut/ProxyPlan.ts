// Original file: proto/agent.proto

import type { StreamPlan as _swarmcut_StreamPlan, StreamPlan__Output as _swarmcut_StreamPlan__Output } from '../swarmcut/StreamPlan.ts';

export interface ProxyPlan {
  'stack'?: (string);
  'epoch'?: (number);
  'streams'?: (_swarmcut_StreamPlan)[];
  'previousAddresses'?: (string)[];
}

export interface ProxyPlan__Output {
  'stack': (string);
  'epoch': (number);
  'streams': (_swarmcut_StreamPlan__Output)[];
  'previousAddresses': (string)[];
}
