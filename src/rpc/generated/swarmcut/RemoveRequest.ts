// Original file: proto/agent.proto

import type { Removal as _swarmcut_Removal, Removal__Output as _swarmcut_Removal__Output } from '../swarmcut/Removal.ts';

export interface RemoveRequest {
  'snapshotId'?: (string);
  'removal'?: (_swarmcut_Removal | null);
}

export interface RemoveRequest__Output {
  'snapshotId': (string);
  'removal': (_swarmcut_Removal__Output | null);
}
