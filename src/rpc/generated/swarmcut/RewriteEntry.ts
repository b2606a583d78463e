// Original file: proto/agent.proto

import type { Endpoint as _swarmcut_Endpoint, Endpoint__Output as _swarmcut_Endpoint__Output } from '../swarmcut/Endpoint.ts';

export interface RewriteEntry {
  'socketLocal'?: (_swarmcut_Endpoint | null);
  'socketRemote'?: (_swarmcut_Endpoint | null);
  'wireLocal'?: (_swarmcut_Endpoint | null);
  'wireRemote'?: (_swarmcut_Endpoint | null);
  'datagrams'?: (boolean);
}

export interface RewriteEntry__Output {
  'socketLocal': (_swarmcut_Endpoint__Output | null);
  'socketRemote': (_swarmcut_Endpoint__Output | null);
  'wireLocal': (_swarmcut_Endpoint__Output | null);
  'wireRemote': (_swarmcut_Endpoint__Output | null);
  'datagrams': (boolean);
}
