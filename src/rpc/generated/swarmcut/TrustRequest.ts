// Original file: proto/agent.proto


export interface TrustRequest {
  'trusted'?: (string);
  'retired'?: (string);
  'revoked'?: (string)[];
}

export interface TrustRequest__Output {
  'trusted': (string);
  'retired': (string);
  'revoked': (string)[];
}
