// Original file: proto/types.proto

import type { Endpoint as _swarmcut_Endpoint, Endpoint__Output as _swarmcut_Endpoint__Output } from '../swarmcut/Endpoint.ts';

export interface BoundSocket {
  'local'?: (_swarmcut_Endpoint | null);
  'datagrams'?: (boolean);
  'wire'?: (string);
}

export interface BoundSocket__Output {
  'local': (_swarmcut_Endpoint__Output | null);
  'datagrams': (boolean);
  'wire': (string);
}
