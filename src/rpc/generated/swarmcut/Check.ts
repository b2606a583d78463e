// Original file: proto/agent.proto


// Original file: proto/agent.proto

export const _swarmcut_Check_Verdict = {
  OK: 'OK',
  WARNING: 'WARNING',
  FAILED: 'FAILED',
} as const;

export type _swarmcut_Check_Verdict =
  | 'OK'
  | 0
  | 'WARNING'
  | 1
  | 'FAILED'
  | 2

export type _swarmcut_Check_Verdict__Output = typeof _swarmcut_Check_Verdict[keyof typeof _swarmcut_Check_Verdict]

export interface Check {
  'name'?: (string);
  'verdict'?: (_swarmcut_Check_Verdict);
  'found'?: (string);
  'advice'?: (string);
}

export interface Check__Output {
  'name': (string);
  'verdict': (_swarmcut_Check_Verdict__Output);
  'found': (string);
  'advice': (string);
}
