// Original file: proto/agent.proto

import type { TaskRef as _swarmcut_TaskRef, TaskRef__Output as _swarmcut_TaskRef__Output } from '../swarmcut/TaskRef.ts';
import type { PartEncryption as _swarmcut_PartEncryption, PartEncryption__Output as _swarmcut_PartEncryption__Output } from '../swarmcut/PartEncryption.ts';

export interface CollectRequest {
  'snapshotId'?: (string);
  'task'?: (_swarmcut_TaskRef | null);
  'inMemory'?: (boolean);
  'encryption'?: (_swarmcut_PartEncryption | null);
}

export interface CollectRequest__Output {
  'snapshotId': (string);
  'task': (_swarmcut_TaskRef__Output | null);
  'inMemory': (boolean);
  'encryption': (_swarmcut_PartEncryption__Output | null);
}
