// Original file: proto/agent.proto


export interface RestoreTaskReply {
  'wallMs'?: (number);
}

export interface RestoreTaskReply__Output {
  'wallMs': (number);
}
