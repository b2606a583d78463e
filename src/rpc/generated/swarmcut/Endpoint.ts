// Original file: proto/types.proto


export interface Endpoint {
  'address'?: (string);
  'port'?: (number);
}

export interface Endpoint__Output {
  'address': (string);
  'port': (number);
}
