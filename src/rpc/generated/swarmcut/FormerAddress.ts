// Original file: proto/agent.proto


export interface FormerAddress {
  'address'?: (string);
  'to'?: (string)[];
  'from'?: (string);
  'network'?: (string);
  'service'?: (string);
}

export interface FormerAddress__Output {
  'address': (string);
  'to': (string)[];
  'from': (string);
  'network': (string);
  'service': (string);
}
