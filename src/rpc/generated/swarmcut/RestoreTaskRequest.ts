// Original file: proto/agent.proto

import type { NetworkPlan as _swarmcut_NetworkPlan, NetworkPlan__Output as _swarmcut_NetworkPlan__Output } from '../swarmcut/NetworkPlan.ts';
import type { Connection as _swarmcut_Connection, Connection__Output as _swarmcut_Connection__Output } from '../swarmcut/Connection.ts';
import type { ProxyPlan as _swarmcut_ProxyPlan, ProxyPlan__Output as _swarmcut_ProxyPlan__Output } from '../swarmcut/ProxyPlan.ts';

export interface RestoreTaskRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
  'network'?: (_swarmcut_NetworkPlan | null);
  'connections'?: (_swarmcut_Connection)[];
  'proxy'?: (_swarmcut_ProxyPlan | null);
}

export interface RestoreTaskRequest__Output {
  'restoreId': (string);
  'containerId': (string);
  'network': (_swarmcut_NetworkPlan__Output | null);
  'connections': (_swarmcut_Connection__Output)[];
  'proxy': (_swarmcut_ProxyPlan__Output | null);
}
