// Original file: proto/agent.proto


export interface PrepareRetirementRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
  'deadlineMs'?: (number);
}

export interface PrepareRetirementRequest__Output {
  'restoreId': (string);
  'containerId': (string);
  'deadlineMs': (number);
}
