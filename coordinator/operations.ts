/** What the CLI (and later `serve`) can ask the coordinator to do. */
export { takeSnapshot } from './rounds/snapshot.ts';
export { verifySnapshot } from './rounds/verify.ts';
export { removeSnapshot } from './rounds/remove.ts';
export { checkNodes } from './rounds/check.ts';
export { restoreSnapshot } from './restore/restore.ts';
export { channelBytes } from './rounds/channel-bytes.ts';
export { attachSidecars } from './sidecars/attach.ts';
export { detachSidecars } from './sidecars/detach.ts';
export { sidecarsOf } from './sidecars/sidecars.ts';
export { migrate } from './restore/migrate.ts';
export type * from './api.ts';
