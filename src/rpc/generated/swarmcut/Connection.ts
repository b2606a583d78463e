// Original file: proto/types.proto

import type { Endpoint as _swarmcut_Endpoint, Endpoint__Output as _swarmcut_Endpoint__Output } from '../swarmcut/Endpoint.ts';

export interface Connection {
  'local'?: (_swarmcut_Endpoint | null);
  'remote'?: (_swarmcut_Endpoint | null);
  'state'?: (string);
  'sndUna'?: (number);
  'sndNxt'?: (number);
  'writeSeq'?: (number);
  'rcvNxt'?: (number);
  'sendQueueBytes'?: (number);
  'recvQueueBytes'?: (number);
  'sequencesKnown'?: (boolean);
}

export interface Connection__Output {
  'local': (_swarmcut_Endpoint__Output | null);
  'remote': (_swarmcut_Endpoint__Output | null);
  'state': (string);
  'sndUna': (number);
  'sndNxt': (number);
  'writeSeq': (number);
  'rcvNxt': (number);
  'sendQueueBytes': (number);
  'recvQueueBytes': (number);
  'sequencesKnown': (boolean);
}
