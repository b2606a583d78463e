// Original file: proto/agent.proto

import type { Connection as _swarmcut_Connection, Connection__Output as _swarmcut_Connection__Output } from '../swarmcut/Connection.ts';
import type { RewriteEntry as _swarmcut_RewriteEntry, RewriteEntry__Output as _swarmcut_RewriteEntry__Output } from '../swarmcut/RewriteEntry.ts';
import type { Alias as _swarmcut_Alias, Alias__Output as _swarmcut_Alias__Output } from '../swarmcut/Alias.ts';
import type { DatagramSocket as _swarmcut_DatagramSocket, DatagramSocket__Output as _swarmcut_DatagramSocket__Output } from '../swarmcut/DatagramSocket.ts';
import type { FormerAddress as _swarmcut_FormerAddress, FormerAddress__Output as _swarmcut_FormerAddress__Output } from '../swarmcut/FormerAddress.ts';

export interface ConnectionsReply {
  'connections'?: (_swarmcut_Connection)[];
  'rewrites'?: (_swarmcut_RewriteEntry)[];
  'aliases'?: (_swarmcut_Alias)[];
  'datagrams'?: (_swarmcut_DatagramSocket)[];
  'former'?: (_swarmcut_FormerAddress)[];
}

export interface ConnectionsReply__Output {
  'connections': (_swarmcut_Connection__Output)[];
  'rewrites': (_swarmcut_RewriteEntry__Output)[];
  'aliases': (_swarmcut_Alias__Output)[];
  'datagrams': (_swarmcut_DatagramSocket__Output)[];
  'former': (_swarmcut_FormerAddress__Output)[];
}
