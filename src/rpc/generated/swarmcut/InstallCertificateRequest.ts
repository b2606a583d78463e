// Original file: proto/agent.proto


export interface InstallCertificateRequest {
  'certificate'?: (string);
}

export interface InstallCertificateRequest__Output {
  'certificate': (string);
}
