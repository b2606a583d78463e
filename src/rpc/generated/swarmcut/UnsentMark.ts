// Original file: proto/agent.proto


export interface UnsentMark {
  'writeSeq'?: (number);
  'rcvNxt'?: (number);
  'from'?: (number);
}

export interface UnsentMark__Output {
  'writeSeq': (number);
  'rcvNxt': (number);
  'from': (number);
}
