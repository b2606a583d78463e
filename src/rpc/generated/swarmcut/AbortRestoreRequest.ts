// Original file: proto/agent.proto


export interface AbortRestoreRequest {
  'restoreId'?: (string);
  'reason'?: (string);
  'servicesAreBack'?: (boolean);
}

export interface AbortRestoreRequest__Output {
  'restoreId': (string);
  'reason': (string);
  'servicesAreBack': (boolean);
}
