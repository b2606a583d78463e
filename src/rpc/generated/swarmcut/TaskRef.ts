// Original file: proto/types.proto


export interface TaskRef {
  'service'?: (string);
  'slot'?: (string);
  'taskId'?: (string);
  'containerId'?: (string);
}

export interface TaskRef__Output {
  'service': (string);
  'slot': (string);
  'taskId': (string);
  'containerId': (string);
}
