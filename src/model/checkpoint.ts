import { z } from 'zod';
import { brokenRules } from './manifests/manifest-rules.ts';

/**
 * What a checkpoint and a snapshot are made of, as written into `manifest.json`. The shapes of a task's checkpoint are those of
 * proto/types.proto, so that what an agent reports can be stored as it is.
 */

const count = z.number().int().nonnegative();

export const endpointSchema = z.object({ address: z.string(), port: count });

const connectionSchema = z.object({
  local: endpointSchema,
  remote: endpointSchema,
  state: z.string(),
  sndUna: count,
  sndNxt: count,
  writeSeq: count,
  rcvNxt: count,
  sendQueueBytes: count,
  recvQueueBytes: count,
  sequencesKnown: z.boolean(),
});

export const taskRefSchema = z.object({
  service: z.string(),
  slot: z.string(),
  taskId: z.string(),
  containerId: z.string(),
});

/** False for what no file can be called: the kernel's names end at a zero byte, and have an end. */
export function isPath(text: string): boolean {
  return text !== '' && text.length <= MAX_PATH_LENGTH && !text.includes('\0');
}

/** PATH_MAX of Linux. */
const MAX_PATH_LENGTH = 4096;

const partSchema = z
  .object({
    kind: z.enum(['CRIU', 'UPPER', 'VOLUME', 'SHM', 'CHANNELS']),
    path: z.string().refine(isPath, 'no file can have this path'),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    sizeBytes: count,
    /** Of an encrypted part: its key, wrapped by the snapshot's, base 64. Hash and size are those of the encrypted bytes. */
    wrappedKey: z.base64().max(1024).optional(),
  })
  // An agent says of a part that is not encrypted that its key is empty.
  .transform(({ wrappedKey, ...part }): Part =>
    wrappedKey === undefined || wrappedKey === '' ? part : { ...part, wrappedKey },
  );

/** One piece of a checkpoint, addressed by its hash. */
export interface Part {
  readonly kind: 'CRIU' | 'UPPER' | 'VOLUME' | 'SHM' | 'CHANNELS';
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly wrappedKey?: string;
}

/** Whether a part is encrypted. Agents send an empty key for one that is not. */
export function isSealed({ wrappedKey }: Pick<Part, 'wrappedKey'>): boolean {
  return wrappedKey !== undefined && wrappedKey !== '';
}

const dumpTimesSchema = z.object({
  holdAtMs: count,
  frozenAtMs: count,
  thawedAtMs: count,
  freezingUs: count,
  frozenUs: count,
  memdumpUs: count,
  memwriteUs: count,
  pagesWritten: count,
  dumpWallUs: count,
  filesWallUs: count,
});
/** CRIU's own figures of a dump, and ours around it. */
export type DumpTimes = z.infer<typeof dumpTimesSchema>;

/** Where one proxied connection stood at the cut of one of its tasks: `StreamCut` in proto/types.proto. Bytes since it began. */
export const streamCutSchema = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  role: z.enum(['opener', 'acceptor']),
  /** As the applications know them: the addresses of the task's own socket. */
  client: endpointSchema,
  server: endpointSchema,
  /** Whom the opener's sidecar called: a task behind `server` if that is a virtual address; else the same. */
  target: endpointSchema,
  /** The other sidecar had not accepted yet: nothing was sent. */
  opening: z.boolean(),
  /** Taken from the application. */
  sent: count,
  finSent: z.boolean(),
  /** Handed to the application's socket in the kernel. */
  delivered: count,
  finDelivered: z.boolean(),
  /** State of the incoming channel: sent before the sender's cut and not delivered before this one. */
  recorded: count,
  /** The channel's end is part of its state. */
  finRecorded: z.boolean(),
  resetRecorded: z.boolean(),
  /** The sidecar's end of the local connection is in `ends.bin`. */
  endTaken: z.boolean(),
  /** The sender's marker, or the channel's end, has come. */
  complete: z.boolean(),
});
export type StreamCut = z.infer<typeof streamCutSchema>;

const processSchema = z.object({ pid: count, parentPid: count, threads: count, command: z.string() });

export const taskCheckpointSchema = z.object({
  task: taskRefSchema,
  parts: z.array(partSchema),
  connections: z.array(connectionSchema),
  processes: z.array(processSchema),
  times: dumpTimesSchema,
  aliases: z.array(z.object({ address: z.string(), network: z.string() })),
  notes: z.array(z.string()),
  /** Proxied connections; empty without a sidecar. Absent in manifests of earlier versions. */
  streams: z.array(streamCutSchema).default([]),
  /** Connected UDP sockets. Absent in manifests of earlier versions. */
  datagrams: z.array(z.object({ local: endpointSchema, remote: endpointSchema })).default([]),
  /** Bound to one address, and not connected. Absent in manifests of earlier versions. */
  bound: z.array(z.object({ local: endpointSchema, datagrams: z.boolean() })).default([]),
});
/** Everything that an agent knows about one task's checkpoint once it lies in the store. */
export type TaskCheckpoint = z.infer<typeof taskCheckpointSchema>;

const versionsSchema = z.object({
  swarmcut: z.string(),
  kernel: z.string(),
  criu: z.string(),
  runc: z.string(),
  engine: z.string(),
});

export const MANIFEST_SCHEMA_VERSION = 1;

/** Of a manifest whose parts are encrypted: what knows only the former must not take them for images. */
export const ENCRYPTED_SCHEMA_VERSION = 2;

const manifestShape = z.object({
  schemaVersion: z.union([z.literal(MANIFEST_SCHEMA_VERSION), z.literal(ENCRYPTED_SCHEMA_VERSION)]),
  id: z.string(),
  stack: z.string(),
  algorithm: z.string(),
  epoch: count,
  /** ISO 8601. */
  startedAt: z.string(),
  committedAt: z.string(),
  /** From the first request to the written manifest. */
  wallMs: count,
  /** What happens on restore to connections that lead out of the snapshot. */
  external: z.enum(['close', 'refuse']),
  /** With version 2 only. `snapshotKey`: which key wraps those of the parts, as `keyId` in src/storage/encryption/snapshot-key.ts says. */
  encryption: z.object({ snapshotKey: z.string().regex(/^[0-9a-f]{16}$/) }).optional(),
  /** The final cut of a migration: of the tasks that moved, and not of the rest of the stack. */
  migration: z.literal(true).optional(),
  tasks: z.array(
    taskCheckpointSchema.extend({
      node: z.string(),
      imageDigest: z.string(),
      /** Task state as Swarm's API gave it: networks, addresses. */
      addresses: z.array(z.object({ network: z.string(), address: z.string() })),
    }),
  ),
  services: z.array(
    z.object({
      name: z.string(),
      mode: z.enum(['replicated', 'global']),
      /** Its virtual addresses. Absent in manifests of earlier versions. */
      virtual: z.array(z.object({ address: z.string(), network: z.string() })).default([]),
      /** The service's spec as Swarm's API gave it. */
      spec: z.record(z.string(), z.unknown()),
    }),
  ),
  networks: z.array(
    z.object({
      name: z.string(),
      id: z.string(),
      subnets: z.array(z.string()),
      spec: z.record(z.string(), z.unknown()),
    }),
  ),
  configs: z.array(z.object({ name: z.string(), id: z.string(), spec: z.record(z.string(), z.unknown()) })),
  secrets: z.array(z.object({ name: z.string(), id: z.string() })),
  /** By node host name. */
  versions: z.record(z.string(), versionsSchema),
});
/** Types of the fields, and what {@link brokenRules} says. */
export const manifestSchema = manifestShape.superRefine((manifest, context) => {
  for (const { path, message } of brokenRules(manifest)) context.addIssue({ code: 'custom', path: [...path], message });
});
/** The contents of `manifest.json`: a snapshot exists if and only if this file does. */
export type Manifest = z.infer<typeof manifestSchema>;
export type ManifestTask = Manifest['tasks'][number];
