// Original file: proto/agent.proto

import type { RewriteEntry as _swarmcut_RewriteEntry, RewriteEntry__Output as _swarmcut_RewriteEntry__Output } from '../swarmcut/RewriteEntry.ts';
import type { Connection as _swarmcut_Connection, Connection__Output as _swarmcut_Connection__Output } from '../swarmcut/Connection.ts';
import type { FormerAddress as _swarmcut_FormerAddress, FormerAddress__Output as _swarmcut_FormerAddress__Output } from '../swarmcut/FormerAddress.ts';

export interface RewriteRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
  'rewrites'?: (_swarmcut_RewriteEntry)[];
  'close'?: (_swarmcut_Connection)[];
  'former'?: (_swarmcut_FormerAddress)[];
}

export interface RewriteRequest__Output {
  'restoreId': (string);
  'containerId': (string);
  'rewrites': (_swarmcut_RewriteEntry__Output)[];
  'close': (_swarmcut_Connection__Output)[];
  'former': (_swarmcut_FormerAddress__Output)[];
}
