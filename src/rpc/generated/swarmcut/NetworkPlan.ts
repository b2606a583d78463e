// Original file: proto/agent.proto

import type { RewriteEntry as _swarmcut_RewriteEntry, RewriteEntry__Output as _swarmcut_RewriteEntry__Output } from '../swarmcut/RewriteEntry.ts';
import type { Connection as _swarmcut_Connection, Connection__Output as _swarmcut_Connection__Output } from '../swarmcut/Connection.ts';
import type { Alias as _swarmcut_Alias, Alias__Output as _swarmcut_Alias__Output } from '../swarmcut/Alias.ts';
import type { UnsentMark as _swarmcut_UnsentMark, UnsentMark__Output as _swarmcut_UnsentMark__Output } from '../swarmcut/UnsentMark.ts';
import type { FormerAddress as _swarmcut_FormerAddress, FormerAddress__Output as _swarmcut_FormerAddress__Output } from '../swarmcut/FormerAddress.ts';
import type { BoundSocket as _swarmcut_BoundSocket, BoundSocket__Output as _swarmcut_BoundSocket__Output } from '../swarmcut/BoundSocket.ts';

export interface NetworkPlan {
  'subnets'?: (string)[];
  'ownAddresses'?: (string)[];
  'rewrites'?: (_swarmcut_RewriteEntry)[];
  'close'?: (_swarmcut_Connection)[];
  'aliases'?: (_swarmcut_Alias)[];
  'unsent'?: (_swarmcut_UnsentMark)[];
  'former'?: (_swarmcut_FormerAddress)[];
  'bound'?: (_swarmcut_BoundSocket)[];
}

export interface NetworkPlan__Output {
  'subnets': (string)[];
  'ownAddresses': (string)[];
  'rewrites': (_swarmcut_RewriteEntry__Output)[];
  'close': (_swarmcut_Connection__Output)[];
  'aliases': (_swarmcut_Alias__Output)[];
  'unsent': (_swarmcut_UnsentMark__Output)[];
  'former': (_swarmcut_FormerAddress__Output)[];
  'bound': (_swarmcut_BoundSocket__Output)[];
}
