// Original file: proto/agent.proto

import type { TaskRef as _swarmcut_TaskRef, TaskRef__Output as _swarmcut_TaskRef__Output } from '../swarmcut/TaskRef.ts';
import type { Long } from '@grpc/proto-loader';

// Original file: proto/agent.proto

export const _swarmcut_RestoreEvent_Phase = {
  ARRIVED: 'ARRIVED',
  FETCHING: 'FETCHING',
  STAGED: 'STAGED',
  RESTORED: 'RESTORED',
  RELEASED: 'RELEASED',
  PASSED: 'PASSED',
  FAILED: 'FAILED',
} as const;

export type _swarmcut_RestoreEvent_Phase =
  | 'ARRIVED'
  | 0
  | 'FETCHING'
  | 1
  | 'STAGED'
  | 2
  | 'RESTORED'
  | 3
  | 'RELEASED'
  | 4
  | 'PASSED'
  | 5
  | 'FAILED'
  | 6

export type _swarmcut_RestoreEvent_Phase__Output = typeof _swarmcut_RestoreEvent_Phase[keyof typeof _swarmcut_RestoreEvent_Phase]

export interface RestoreEvent {
  'phase'?: (_swarmcut_RestoreEvent_Phase);
  'task'?: (_swarmcut_TaskRef | null);
  'detail'?: (string);
  'bytesDone'?: (number | string | Long);
  'bytesTotal'?: (number | string | Long);
}

export interface RestoreEvent__Output {
  'phase': (_swarmcut_RestoreEvent_Phase__Output);
  'task': (_swarmcut_TaskRef__Output | null);
  'detail': (string);
  'bytesDone': (number);
  'bytesTotal': (number);
}
