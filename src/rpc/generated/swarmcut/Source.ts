// Original file: proto/agent.proto


export interface Source {
  'node'?: (string);
  'address'?: (string);
}

export interface Source__Output {
  'node': (string);
  'address': (string);
}
