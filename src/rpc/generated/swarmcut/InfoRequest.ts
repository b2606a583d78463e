// Original file: proto/agent.proto

import type { Source as _swarmcut_Source, Source__Output as _swarmcut_Source__Output } from '../swarmcut/Source.ts';

export interface InfoRequest {
  'preflight'?: (boolean);
  'peers'?: (_swarmcut_Source)[];
}

export interface InfoRequest__Output {
  'preflight': (boolean);
  'peers': (_swarmcut_Source__Output)[];
}
