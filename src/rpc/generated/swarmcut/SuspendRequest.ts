// Original file: proto/agent.proto


export interface SuspendRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
  'deadlineMs'?: (number);
}

export interface SuspendRequest__Output {
  'restoreId': (string);
  'containerId': (string);
  'deadlineMs': (number);
}
