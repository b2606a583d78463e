// Original file: proto/agent.proto

import type { CallProgress as _swarmcut_CallProgress, CallProgress__Output as _swarmcut_CallProgress__Output } from '../swarmcut/CallProgress.ts';

export interface ProgressReply {
  'calls'?: (_swarmcut_CallProgress)[];
}

export interface ProgressReply__Output {
  'calls': (_swarmcut_CallProgress__Output)[];
}
