import type { MethodDefinition } from '@grpc/proto-loader';
import type { AgentDefinition } from './generated/swarmcut/Agent.ts';

/** The agent's methods by their names in proto/agent.proto, without the index signature that grpc-js adds. */
type Definitions = {
  [
    Name in keyof AgentDefinition as string extends Name ? never : number extends Name ? never : Name
  ]: AgentDefinition[Name];
};

/** Method names as TypeScript callers write them: `prepare`, `watchRestore` … */
export type MethodName = Uncapitalize<keyof Definitions>;

export type StreamName = 'fetch' | 'watchRestore';
/** Asked by the client itself, and answered by the server itself. */
type OwnName = 'progress';
export type UnaryName = Exclude<MethodName, StreamName | OwnName>;

type DefinitionOf<Name extends MethodName> = Definitions[Capitalize<Name>];

/** What a caller passes. */
export type RequestOf<Name extends MethodName> =
  DefinitionOf<Name> extends MethodDefinition<infer Request, infer _A, infer _B, infer _C> ? Request : never;
/** What a caller gets, every field set. */
export type ReplyOf<Name extends MethodName> =
  DefinitionOf<Name> extends MethodDefinition<infer _A, infer _B, infer _C, infer Reply> ? Reply : never;
/** What a handler gets, every field set. */
export type ReceivedOf<Name extends MethodName> =
  DefinitionOf<Name> extends MethodDefinition<infer _A, infer _B, infer Request, infer _C> ? Request : never;
/** What a handler answers. */
export type AnswerOf<Name extends MethodName> =
  DefinitionOf<Name> extends MethodDefinition<infer _A, infer Reply, infer _B, infer _C> ? Reply : never;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/**
 * Longest time without progress of a call, as the agent tells it (`Progress`), or of a stream, until its next message; in milliseconds. A call that
 * gets on takes as long as it takes. These are what keeps a lost agent from being waited for for ever, not what is expected: callers that
 * know better pass their own (`deadlineMs`).
 */
export const DEADLINES_MS: Readonly<Record<MethodName, number>> = {
  info: 30 * SECOND,
  leftovers: MINUTE,
  progress: 10 * SECOND,
  look: MINUTE,
  attach: MINUTE,
  detach: MINUTE,
  sidecars: 30 * SECOND,
  prepare: MINUTE,
  cut: 2 * MINUTE,
  release: MINUTE,
  collect: 2 * MINUTE,
  preserve: 2 * MINUTE,
  finish: MINUTE,
  abort: MINUTE,
  listSnapshots: 30 * SECOND,
  recorded: MINUTE,
  keepManifest: MINUTE,
  manifest: MINUTE,
  verify: 2 * MINUTE,
  remove: MINUTE,
  fetch: MINUTE,
  expect: 30 * SECOND,
  watchRestore: Number.POSITIVE_INFINITY,
  keep: MINUTE,
  pass: 30 * SECOND,
  stage: 2 * MINUTE,
  restore: 2 * MINUTE,
  releaseRestored: MINUTE,
  abortRestore: MINUTE,
  listRestores: 30 * SECOND,
  endRestore: MINUTE,
  suspend: 30 * SECOND,
  takeOver: 30 * SECOND,
  prepareRetirement: 30 * SECOND,
  retire: 30 * SECOND,
  resume: 30 * SECOND,
  connections: 30 * SECOND,
  rewrite: 30 * SECOND,
  identity: 15 * SECOND,
  trust: 15 * SECOND,
  requestCertificate: 15 * SECOND,
  installCertificate: 15 * SECOND,
};

export const METHOD_NAMES = (Object.keys(DEADLINES_MS) as MethodName[]).filter(
  (name): name is StreamName | UnaryName => name !== 'progress',
);

/** Methods that agents may call of each other; everything else is the coordinator's alone. */
export const AGENT_METHODS: ReadonlySet<MethodName> = new Set<MethodName>(['fetch']);

export function isStream(method: MethodName): method is StreamName {
  return method === 'fetch' || method === 'watchRestore';
}

/** The metadata in which a caller names its call, to ask for its progress. */
export const CALL_KEY = 'swarmcut-call';

/** Messages are small but for 1 MiB chunks and task checkpoints with thousands of connections. Bytes. */
export const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
