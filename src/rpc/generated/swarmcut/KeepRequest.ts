// Original file: proto/agent.proto


export interface KeepRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
  'deadlineMs'?: (number);
}

export interface KeepRequest__Output {
  'restoreId': (string);
  'containerId': (string);
  'deadlineMs': (number);
}
