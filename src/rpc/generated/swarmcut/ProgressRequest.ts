// Original file: proto/agent.proto


export interface ProgressRequest {
  'calls'?: (string)[];
}

export interface ProgressRequest__Output {
  'calls': (string)[];
}
