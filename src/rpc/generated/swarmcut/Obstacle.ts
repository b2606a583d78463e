// Original file: proto/agent.proto


export interface Obstacle {
  'kind'?: (string);
  'pid'?: (number);
  'command'?: (string);
  'object'?: (string);
}

export interface Obstacle__Output {
  'kind': (string);
  'pid': (number);
  'command': (string);
  'object': (string);
}
