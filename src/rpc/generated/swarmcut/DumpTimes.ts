// Original file: proto/types.proto

import type { Long } from '@grpc/proto-loader';

export interface DumpTimes {
  'holdAtMs'?: (number | string | Long);
  'frozenAtMs'?: (number | string | Long);
  'thawedAtMs'?: (number | string | Long);
  'freezingUs'?: (number);
  'frozenUs'?: (number);
  'memdumpUs'?: (number);
  'memwriteUs'?: (number);
  'pagesWritten'?: (number | string | Long);
  'dumpWallUs'?: (number);
  'filesWallUs'?: (number);
}

export interface DumpTimes__Output {
  'holdAtMs': (number);
  'frozenAtMs': (number);
  'thawedAtMs': (number);
  'freezingUs': (number);
  'frozenUs': (number);
  'memdumpUs': (number);
  'memwriteUs': (number);
  'pagesWritten': (number);
  'dumpWallUs': (number);
  'filesWallUs': (number);
}
