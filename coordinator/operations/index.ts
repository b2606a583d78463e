/** What the CLI (and later `serve`) can ask the coordinator to do. */
export { takeSnapshot } from './snapshot.ts';
export { verifySnapshot } from './verify.ts';
export { removeSnapshot } from './remove.ts';
export { checkNodes, checkStack } from './check.ts';
export { restoreSnapshot } from './restore.ts';
export { resumeStack } from './transaction/resume.ts';
export { channelBytes } from './rounds/channel-bytes.ts';
export { attachSidecars } from './sidecars/attach.ts';
export { detachSidecars } from './sidecars/detach.ts';
export { sidecarsOf } from './sidecars/sidecars.ts';
export { migrate } from './migrate.ts';
export type * from './events/events.ts';
export type * from './session/context.ts';
export type * from './session/reports.ts';
