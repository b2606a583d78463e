// Original file: proto/agent.proto


export interface CallProgress {
  'call'?: (string);
  'doing'?: (string);
  'mark'?: (string);
}

export interface CallProgress__Output {
  'call': (string);
  'doing': (string);
  'mark': (string);
}
