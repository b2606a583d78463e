// Original file: proto/agent.proto

import type { RewriteEntry as _swarmcut_RewriteEntry, RewriteEntry__Output as _swarmcut_RewriteEntry__Output } from '../swarmcut/RewriteEntry.ts';

export interface RewriteRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
  'rewrites'?: (_swarmcut_RewriteEntry)[];
}

export interface RewriteRequest__Output {
  'restoreId': (string);
  'containerId': (string);
  'rewrites': (_swarmcut_RewriteEntry__Output)[];
}
