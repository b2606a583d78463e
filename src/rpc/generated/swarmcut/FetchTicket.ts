// Original file: proto/agent.proto


export interface FetchTicket {
  'grant'?: (Buffer | Uint8Array | string);
  'signature'?: (Buffer | Uint8Array | string);
  'certificate'?: (string);
}

export interface FetchTicket__Output {
  'grant': (Buffer);
  'signature': (Buffer);
  'certificate': (string);
}
