// Original file: proto/agent.proto


export interface StackRequest {
  'stack'?: (string);
}

export interface StackRequest__Output {
  'stack': (string);
}
