// Original file: proto/types.proto

import type { Endpoint as _swarmcut_Endpoint, Endpoint__Output as _swarmcut_Endpoint__Output } from '../swarmcut/Endpoint.ts';
import type { Long } from '@grpc/proto-loader';

export interface StreamCut {
  'id'?: (string);
  'role'?: (string);
  'client'?: (_swarmcut_Endpoint | null);
  'server'?: (_swarmcut_Endpoint | null);
  'target'?: (_swarmcut_Endpoint | null);
  'opening'?: (boolean);
  'sent'?: (number | string | Long);
  'finSent'?: (boolean);
  'delivered'?: (number | string | Long);
  'finDelivered'?: (boolean);
  'recorded'?: (number | string | Long);
  'finRecorded'?: (boolean);
  'resetRecorded'?: (boolean);
  'endTaken'?: (boolean);
  'complete'?: (boolean);
}

export interface StreamCut__Output {
  'id': (string);
  'role': (string);
  'client': (_swarmcut_Endpoint__Output | null);
  'server': (_swarmcut_Endpoint__Output | null);
  'target': (_swarmcut_Endpoint__Output | null);
  'opening': (boolean);
  'sent': (number);
  'finSent': (boolean);
  'delivered': (number);
  'finDelivered': (boolean);
  'recorded': (number);
  'finRecorded': (boolean);
  'resetRecorded': (boolean);
  'endTaken': (boolean);
  'complete': (boolean);
}
