// Original file: proto/agent.proto

import type { TaskRef as _swarmcut_TaskRef, TaskRef__Output as _swarmcut_TaskRef__Output } from '../swarmcut/TaskRef.ts';
import type { Connection as _swarmcut_Connection, Connection__Output as _swarmcut_Connection__Output } from '../swarmcut/Connection.ts';
import type { Long } from '@grpc/proto-loader';

export interface Sidecar {
  'task'?: (_swarmcut_TaskRef | null);
  'alive'?: (boolean);
  'streams'?: (number);
  'direct'?: (_swarmcut_Connection)[];
  'peers'?: (string)[];
  'rssBytes'?: (number | string | Long);
  'starts'?: (number);
}

export interface Sidecar__Output {
  'task': (_swarmcut_TaskRef__Output | null);
  'alive': (boolean);
  'streams': (number);
  'direct': (_swarmcut_Connection__Output)[];
  'peers': (string)[];
  'rssBytes': (number);
  'starts': (number);
}
