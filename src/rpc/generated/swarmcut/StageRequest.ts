// Original file: proto/agent.proto

import type { TaskRef as _swarmcut_TaskRef, TaskRef__Output as _swarmcut_TaskRef__Output } from '../swarmcut/TaskRef.ts';
import type { Part as _swarmcut_Part, Part__Output as _swarmcut_Part__Output } from '../swarmcut/Part.ts';
import type { Source as _swarmcut_Source, Source__Output as _swarmcut_Source__Output } from '../swarmcut/Source.ts';
import type { FetchTicket as _swarmcut_FetchTicket, FetchTicket__Output as _swarmcut_FetchTicket__Output } from '../swarmcut/FetchTicket.ts';

export interface StageRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
  'savedTask'?: (_swarmcut_TaskRef | null);
  'parts'?: (_swarmcut_Part)[];
  'sources'?: (_swarmcut_Source)[];
  'inMemory'?: (boolean);
  'ticket'?: (_swarmcut_FetchTicket | null);
  'snapshotKey'?: (Buffer | Uint8Array | string);
}

export interface StageRequest__Output {
  'restoreId': (string);
  'containerId': (string);
  'savedTask': (_swarmcut_TaskRef__Output | null);
  'parts': (_swarmcut_Part__Output)[];
  'sources': (_swarmcut_Source__Output)[];
  'inMemory': (boolean);
  'ticket': (_swarmcut_FetchTicket__Output | null);
  'snapshotKey': (Buffer);
}
