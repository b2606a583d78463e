// Original file: proto/agent.proto


export interface LookRequest {
  'containerId'?: (string);
}

export interface LookRequest__Output {
  'containerId': (string);
}
