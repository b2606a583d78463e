// Original file: proto/agent.proto

import type { Sidecar as _swarmcut_Sidecar, Sidecar__Output as _swarmcut_Sidecar__Output } from '../swarmcut/Sidecar.ts';

export interface AttachReply {
  'sidecars'?: (_swarmcut_Sidecar)[];
}

export interface AttachReply__Output {
  'sidecars': (_swarmcut_Sidecar__Output)[];
}
