// Original file: proto/agent.proto

import type { Endpoint as _swarmcut_Endpoint, Endpoint__Output as _swarmcut_Endpoint__Output } from '../swarmcut/Endpoint.ts';

// Original file: proto/agent.proto

export const _swarmcut_StreamPlan_Action = {
  RESUME: 'RESUME',
  OPEN: 'OPEN',
  ALONE: 'ALONE',
  RESET: 'RESET',
} as const;

export type _swarmcut_StreamPlan_Action =
  | 'RESUME'
  | 0
  | 'OPEN'
  | 1
  | 'ALONE'
  | 2
  | 'RESET'
  | 3

export type _swarmcut_StreamPlan_Action__Output = typeof _swarmcut_StreamPlan_Action[keyof typeof _swarmcut_StreamPlan_Action]

export interface StreamPlan {
  'id'?: (string);
  'action'?: (_swarmcut_StreamPlan_Action);
  'peer'?: (_swarmcut_Endpoint | null);
  'dial'?: (boolean);
}

export interface StreamPlan__Output {
  'id': (string);
  'action': (_swarmcut_StreamPlan_Action__Output);
  'peer': (_swarmcut_Endpoint__Output | null);
  'dial': (boolean);
}
