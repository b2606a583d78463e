// Original file: proto/agent.proto

import type { TaskRef as _swarmcut_TaskRef, TaskRef__Output as _swarmcut_TaskRef__Output } from '../swarmcut/TaskRef.ts';
import type { Alias as _swarmcut_Alias, Alias__Output as _swarmcut_Alias__Output } from '../swarmcut/Alias.ts';

export interface PrepareRequest {
  'snapshotId'?: (string);
  'stack'?: (string);
  'algorithm'?: (string);
  'epoch'?: (number);
  'task'?: (_swarmcut_TaskRef | null);
  'subnets'?: (string)[];
  'deadlineMs'?: (number);
  'keepFrozen'?: (boolean);
  'aliases'?: (_swarmcut_Alias)[];
  'stageInMemory'?: (boolean);
  'foreign'?: (string)[];
}

export interface PrepareRequest__Output {
  'snapshotId': (string);
  'stack': (string);
  'algorithm': (string);
  'epoch': (number);
  'task': (_swarmcut_TaskRef__Output | null);
  'subnets': (string)[];
  'deadlineMs': (number);
  'keepFrozen': (boolean);
  'aliases': (_swarmcut_Alias__Output)[];
  'stageInMemory': (boolean);
  'foreign': (string)[];
}
