// Original file: proto/agent.proto

import type { Obstacle as _swarmcut_Obstacle, Obstacle__Output as _swarmcut_Obstacle__Output } from '../swarmcut/Obstacle.ts';

export interface LookReply {
  'obstacles'?: (_swarmcut_Obstacle)[];
}

export interface LookReply__Output {
  'obstacles': (_swarmcut_Obstacle__Output)[];
}
