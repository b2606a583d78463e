/** How an operation shows what it is at, on stderr. */
export const PROGRESS = ['auto', 'live', 'plain', 'json', 'none'] as const;
export type ProgressKind = (typeof PROGRESS)[number];
