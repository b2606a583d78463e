// Original file: proto/agent.proto


export interface EndSuspensionRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
  'moved'?: (boolean);
}

export interface EndSuspensionRequest__Output {
  'restoreId': (string);
  'containerId': (string);
  'moved': (boolean);
}
