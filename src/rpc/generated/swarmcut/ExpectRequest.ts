// Original file: proto/agent.proto


export interface ExpectRequest {
  'restoreId'?: (string);
  'services'?: (string)[];
  'stack'?: (string);
}

export interface ExpectRequest__Output {
  'restoreId': (string);
  'services': (string)[];
  'stack': (string);
}
