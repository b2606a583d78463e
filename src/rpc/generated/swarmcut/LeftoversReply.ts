// Original file: proto/agent.proto

import type { Leftover as _swarmcut_Leftover, Leftover__Output as _swarmcut_Leftover__Output } from '../swarmcut/Leftover.ts';

export interface LeftoversReply {
  'leftovers'?: (_swarmcut_Leftover)[];
}

export interface LeftoversReply__Output {
  'leftovers': (_swarmcut_Leftover__Output)[];
}
