// Original file: proto/agent.proto

import type { RewriteEntry as _swarmcut_RewriteEntry, RewriteEntry__Output as _swarmcut_RewriteEntry__Output } from '../swarmcut/RewriteEntry.ts';
import type { Connection as _swarmcut_Connection, Connection__Output as _swarmcut_Connection__Output } from '../swarmcut/Connection.ts';

export interface RewriteRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
  'rewrites'?: (_swarmcut_RewriteEntry)[];
  'close'?: (_swarmcut_Connection)[];
}

export interface RewriteRequest__Output {
  'restoreId': (string);
  'containerId': (string);
  'rewrites': (_swarmcut_RewriteEntry__Output)[];
  'close': (_swarmcut_Connection__Output)[];
}
