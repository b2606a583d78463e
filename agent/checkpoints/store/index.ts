export { PartStore } from './parts.ts';
export type { Adopted, AdoptOptions, TemporaryPart } from './parts.ts';
export { Ledger } from './ledger.ts';
export type { LedgerEntry, LedgerSummary, SnapshotState } from './ledger.ts';
export { Manifests } from './manifests.ts';
export type { Hashed } from './hashing.ts';
export { openedKey, refuseDisk, unseal, unsealInto } from './opened.ts';
export { concurrently } from './concurrently.ts';
