// Original file: proto/agent.proto

import type { Source as _swarmcut_Source, Source__Output as _swarmcut_Source__Output } from '../swarmcut/Source.ts';

export interface ExpectRequest {
  'restoreId'?: (string);
  'services'?: (string)[];
  'stack'?: (string);
  'sources'?: (_swarmcut_Source)[];
}

export interface ExpectRequest__Output {
  'restoreId': (string);
  'services': (string)[];
  'stack': (string);
  'sources': (_swarmcut_Source__Output)[];
}
