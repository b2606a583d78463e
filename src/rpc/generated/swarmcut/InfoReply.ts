// Original file: proto/agent.proto

import type { Check as _swarmcut_Check, Check__Output as _swarmcut_Check__Output } from '../swarmcut/Check.ts';
import type { Long } from '@grpc/proto-loader';

export interface InfoReply {
  'node'?: (string);
  'version'?: (string);
  'kernel'?: (string);
  'criu'?: (string);
  'runc'?: (string);
  'engine'?: (string);
  'cgroupVersion'?: (number);
  'shimInstalled'?: (boolean);
  'memoryAvailableBytes'?: (number | string | Long);
  'diskAvailableBytes'?: (number | string | Long);
  'memDirtyTrack'?: (boolean);
  'checks'?: (_swarmcut_Check)[];
  'agentRssBytes'?: (number | string | Long);
}

export interface InfoReply__Output {
  'node': (string);
  'version': (string);
  'kernel': (string);
  'criu': (string);
  'runc': (string);
  'engine': (string);
  'cgroupVersion': (number);
  'shimInstalled': (boolean);
  'memoryAvailableBytes': (number);
  'diskAvailableBytes': (number);
  'memDirtyTrack': (boolean);
  'checks': (_swarmcut_Check__Output)[];
  'agentRssBytes': (number);
}
