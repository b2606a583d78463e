// Original file: proto/agent.proto


export interface ContainerRequest {
  'restoreId'?: (string);
  'containerId'?: (string);
}

export interface ContainerRequest__Output {
  'restoreId': (string);
  'containerId': (string);
}
