// Original file: proto/types.proto


export interface Alias {
  'address'?: (string);
  'network'?: (string);
}

export interface Alias__Output {
  'address': (string);
  'network': (string);
}
