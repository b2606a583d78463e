// Original file: proto/agent.proto

import type { Sidecar as _swarmcut_Sidecar, Sidecar__Output as _swarmcut_Sidecar__Output } from '../swarmcut/Sidecar.ts';

export interface SidecarsReply {
  'sidecars'?: (_swarmcut_Sidecar)[];
}

export interface SidecarsReply__Output {
  'sidecars': (_swarmcut_Sidecar__Output)[];
}
