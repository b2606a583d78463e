// Original file: proto/agent.proto


export interface RestoreRequest {
  'restoreId'?: (string);
}

export interface RestoreRequest__Output {
  'restoreId': (string);
}
