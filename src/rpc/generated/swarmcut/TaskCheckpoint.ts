// Original file: proto/types.proto

import type { TaskRef as _swarmcut_TaskRef, TaskRef__Output as _swarmcut_TaskRef__Output } from '../swarmcut/TaskRef.ts';
import type { Part as _swarmcut_Part, Part__Output as _swarmcut_Part__Output } from '../swarmcut/Part.ts';
import type { Connection as _swarmcut_Connection, Connection__Output as _swarmcut_Connection__Output } from '../swarmcut/Connection.ts';
import type { Process as _swarmcut_Process, Process__Output as _swarmcut_Process__Output } from '../swarmcut/Process.ts';
import type { DumpTimes as _swarmcut_DumpTimes, DumpTimes__Output as _swarmcut_DumpTimes__Output } from '../swarmcut/DumpTimes.ts';
import type { Alias as _swarmcut_Alias, Alias__Output as _swarmcut_Alias__Output } from '../swarmcut/Alias.ts';
import type { StreamCut as _swarmcut_StreamCut, StreamCut__Output as _swarmcut_StreamCut__Output } from '../swarmcut/StreamCut.ts';
import type { DatagramSocket as _swarmcut_DatagramSocket, DatagramSocket__Output as _swarmcut_DatagramSocket__Output } from '../swarmcut/DatagramSocket.ts';
import type { BoundSocket as _swarmcut_BoundSocket, BoundSocket__Output as _swarmcut_BoundSocket__Output } from '../swarmcut/BoundSocket.ts';

export interface TaskCheckpoint {
  'task'?: (_swarmcut_TaskRef | null);
  'parts'?: (_swarmcut_Part)[];
  'connections'?: (_swarmcut_Connection)[];
  'processes'?: (_swarmcut_Process)[];
  'times'?: (_swarmcut_DumpTimes | null);
  'aliases'?: (_swarmcut_Alias)[];
  'notes'?: (string)[];
  'streams'?: (_swarmcut_StreamCut)[];
  'datagrams'?: (_swarmcut_DatagramSocket)[];
  'bound'?: (_swarmcut_BoundSocket)[];
}

export interface TaskCheckpoint__Output {
  'task': (_swarmcut_TaskRef__Output | null);
  'parts': (_swarmcut_Part__Output)[];
  'connections': (_swarmcut_Connection__Output)[];
  'processes': (_swarmcut_Process__Output)[];
  'times': (_swarmcut_DumpTimes__Output | null);
  'aliases': (_swarmcut_Alias__Output)[];
  'notes': (string)[];
  'streams': (_swarmcut_StreamCut__Output)[];
  'datagrams': (_swarmcut_DatagramSocket__Output)[];
  'bound': (_swarmcut_BoundSocket__Output)[];
}
