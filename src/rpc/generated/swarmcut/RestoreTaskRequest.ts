// Original file: proto/agent.proto

import type { NetworkPlan as _swarmcut_NetworkPlan, NetworkPlan__Output as _swarmcut_NetworkPlan__Output } from '../swarmcut/NetworkPlan.ts';

export interface RestoreTaskRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
  'network'?: (_swarmcut_NetworkPlan | null);
}

export interface RestoreTaskRequest__Output {
  'restoreId': (string);
  'containerId': (string);
  'network': (_swarmcut_NetworkPlan__Output | null);
}
