// Original file: proto/agent.proto

import type { TaskRef as _swarmcut_TaskRef, TaskRef__Output as _swarmcut_TaskRef__Output } from '../swarmcut/TaskRef.ts';

export interface CutRequest {
  'snapshotId'?: (string);
  'task'?: (_swarmcut_TaskRef | null);
  'epoch'?: (number);
}

export interface CutRequest__Output {
  'snapshotId': (string);
  'task': (_swarmcut_TaskRef__Output | null);
  'epoch': (number);
}
