// Original file: proto/agent.proto


export interface LeftoversRequest {
  'clear'?: (string)[];
}

export interface LeftoversRequest__Output {
  'clear': (string)[];
}
