// Original file: proto/types.proto

import type { Endpoint as _swarmcut_Endpoint, Endpoint__Output as _swarmcut_Endpoint__Output } from '../swarmcut/Endpoint.ts';

export interface DatagramSocket {
  'local'?: (_swarmcut_Endpoint | null);
  'remote'?: (_swarmcut_Endpoint | null);
}

export interface DatagramSocket__Output {
  'local': (_swarmcut_Endpoint__Output | null);
  'remote': (_swarmcut_Endpoint__Output | null);
}
