// Original file: proto/agent.proto

import type { TaskCheckpoint as _swarmcut_TaskCheckpoint, TaskCheckpoint__Output as _swarmcut_TaskCheckpoint__Output } from '../swarmcut/TaskCheckpoint.ts';

export interface RecordedReply {
  'stack'?: (string);
  'state'?: (string);
  'tasks'?: (_swarmcut_TaskCheckpoint)[];
}

export interface RecordedReply__Output {
  'stack': (string);
  'state': (string);
  'tasks': (_swarmcut_TaskCheckpoint__Output)[];
}
