// Original file: proto/agent.proto

import type { TaskCheckpoint as _swarmcut_TaskCheckpoint, TaskCheckpoint__Output as _swarmcut_TaskCheckpoint__Output } from '../swarmcut/TaskCheckpoint.ts';
import type { TaskRef as _swarmcut_TaskRef, TaskRef__Output as _swarmcut_TaskRef__Output } from '../swarmcut/TaskRef.ts';
import type { Part as _swarmcut_Part, Part__Output as _swarmcut_Part__Output } from '../swarmcut/Part.ts';
import type { Long } from '@grpc/proto-loader';

export interface _swarmcut_VerifyReply_PartProblem {
  'task'?: (_swarmcut_TaskRef | null);
  'part'?: (_swarmcut_Part | null);
  'problem'?: (string);
}

export interface _swarmcut_VerifyReply_PartProblem__Output {
  'task': (_swarmcut_TaskRef__Output | null);
  'part': (_swarmcut_Part__Output | null);
  'problem': (string);
}

export interface VerifyReply {
  'problems'?: (_swarmcut_VerifyReply_PartProblem)[];
  'tasks'?: (_swarmcut_TaskCheckpoint)[];
  'verifiedBytes'?: (number | string | Long);
}

export interface VerifyReply__Output {
  'problems': (_swarmcut_VerifyReply_PartProblem__Output)[];
  'tasks': (_swarmcut_TaskCheckpoint__Output)[];
  'verifiedBytes': (number);
}
