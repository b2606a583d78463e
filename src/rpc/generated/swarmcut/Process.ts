// Original file: proto/types.proto


export interface Process {
  'pid'?: (number);
  'parentPid'?: (number);
  'threads'?: (number);
  'command'?: (string);
}

export interface Process__Output {
  'pid': (number);
  'parentPid': (number);
  'threads': (number);
  'command': (string);
}
