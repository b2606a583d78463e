// Original file: proto/agent.proto


export interface Leftover {
  'kind'?: (string);
  'subject'?: (string);
  'detail'?: (string);
  'stack'?: (string);
  'inUse'?: (string);
  'cleared'?: (boolean);
  'problem'?: (string);
}

export interface Leftover__Output {
  'kind': (string);
  'subject': (string);
  'detail': (string);
  'stack': (string);
  'inUse': (string);
  'cleared': (boolean);
  'problem': (string);
}
