// Original file: proto/agent.proto

import type { FetchTicket as _swarmcut_FetchTicket, FetchTicket__Output as _swarmcut_FetchTicket__Output } from '../swarmcut/FetchTicket.ts';

export interface FetchRequest {
  'sha256'?: (string)[];
  'ticket'?: (_swarmcut_FetchTicket | null);
}

export interface FetchRequest__Output {
  'sha256': (string)[];
  'ticket': (_swarmcut_FetchTicket__Output | null);
}
