// Original file: proto/agent.proto


export interface CertificateRequest {
  'request'?: (string);
}

export interface CertificateRequest__Output {
  'request': (string);
}
