// Original file: proto/agent.proto


export interface _swarmcut_ListRestoresReply_Entry {
  'restoreId'?: (string);
  'stack'?: (string);
  'waiting'?: (string)[];
}

export interface _swarmcut_ListRestoresReply_Entry__Output {
  'restoreId': (string);
  'stack': (string);
  'waiting': (string)[];
}

export interface ListRestoresReply {
  'restores'?: (_swarmcut_ListRestoresReply_Entry)[];
}

export interface ListRestoresReply__Output {
  'restores': (_swarmcut_ListRestoresReply_Entry__Output)[];
}
