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
export type UnaryName = Exclude<MethodName, StreamName>;

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
 * Longest time a call may take, in milliseconds. These are what keeps a lost agent from being waited for for ever, not what is
 * expected: callers that know better pass their own (`deadlineMs`).
 */
export const DEADLINES_MS: Readonly<Record<MethodName, number>> = {
  info: 15 * SECOND,
  attach: MINUTE,
  detach: MINUTE,
  sidecars: 15 * SECOND,
  prepare: 30 * SECOND,
  cut: 2 * MINUTE,
  release: 30 * SECOND,
  collect: 30 * MINUTE,
  preserve: 30 * MINUTE,
  finish: MINUTE,
  abort: MINUTE,
  listSnapshots: 15 * SECOND,
  recorded: 30 * SECOND,
  verify: 30 * MINUTE,
  remove: MINUTE,
  fetch: 60 * MINUTE,
  expect: 15 * SECOND,
  watchRestore: 60 * MINUTE,
  keep: 30 * SECOND,
  pass: 30 * SECOND,
  stage: 60 * MINUTE,
  restore: 5 * MINUTE,
  releaseRestored: 30 * SECOND,
  abortRestore: MINUTE,
  listRestores: 15 * SECOND,
  endRestore: 30 * SECOND,
  suspend: 30 * SECOND,
  takeOver: 30 * SECOND,
  prepareRetirement: 30 * SECOND,
  retire: 30 * SECOND,
  resume: 15 * SECOND,
  connections: 30 * SECOND,
  rewrite: 30 * SECOND,
};

export const METHOD_NAMES = Object.keys(DEADLINES_MS) as readonly MethodName[];

/** Methods that agents may call of each other; everything else is the coordinator's alone. */
export const AGENT_METHODS: ReadonlySet<MethodName> = new Set<MethodName>(['fetch']);

export function isStream(method: MethodName): method is StreamName {
  return method === 'fetch' || method === 'watchRestore';
}

/** Messages are small but for 1 MiB chunks and task checkpoints with thousands of connections. Bytes. */
export const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
