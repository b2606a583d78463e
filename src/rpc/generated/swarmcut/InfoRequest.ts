// Original file: proto/agent.proto


export interface InfoRequest {
  'preflight'?: (boolean);
}

export interface InfoRequest__Output {
  'preflight': (boolean);
}
