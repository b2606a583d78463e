// Original file: proto/agent.proto

import type { DumpTimes as _swarmcut_DumpTimes, DumpTimes__Output as _swarmcut_DumpTimes__Output } from '../swarmcut/DumpTimes.ts';

export interface CutReply {
  'times'?: (_swarmcut_DumpTimes | null);
}

export interface CutReply__Output {
  'times': (_swarmcut_DumpTimes__Output | null);
}
