// Original file: proto/agent.proto

import type { TaskRef as _swarmcut_TaskRef, TaskRef__Output as _swarmcut_TaskRef__Output } from '../swarmcut/TaskRef.ts';

export interface AttachRequest {
  'stack'?: (string);
  'services'?: (string)[];
  'tasks'?: (_swarmcut_TaskRef)[];
}

export interface AttachRequest__Output {
  'stack': (string);
  'services': (string)[];
  'tasks': (_swarmcut_TaskRef__Output)[];
}
