// Original file: proto/agent.proto


export interface IdentityReply {
  'certificate'?: (string);
  'trusted'?: (string);
  'retired'?: (string);
  'revoked'?: (string)[];
}

export interface IdentityReply__Output {
  'certificate': (string);
  'trusted': (string);
  'retired': (string);
  'revoked': (string)[];
}
