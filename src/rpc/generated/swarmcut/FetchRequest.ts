// Original file: proto/agent.proto


export interface FetchRequest {
  'sha256'?: (string)[];
}

export interface FetchRequest__Output {
  'sha256': (string)[];
}
