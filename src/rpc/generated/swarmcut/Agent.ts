// Original file: proto/agent.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AbortRequest as _swarmcut_AbortRequest, AbortRequest__Output as _swarmcut_AbortRequest__Output } from '../swarmcut/AbortRequest.ts';
import type { AbortRestoreRequest as _swarmcut_AbortRestoreRequest, AbortRestoreRequest__Output as _swarmcut_AbortRestoreRequest__Output } from '../swarmcut/AbortRestoreRequest.ts';
import type { AttachReply as _swarmcut_AttachReply, AttachReply__Output as _swarmcut_AttachReply__Output } from '../swarmcut/AttachReply.ts';
import type { AttachRequest as _swarmcut_AttachRequest, AttachRequest__Output as _swarmcut_AttachRequest__Output } from '../swarmcut/AttachRequest.ts';
import type { CertificateRequest as _swarmcut_CertificateRequest, CertificateRequest__Output as _swarmcut_CertificateRequest__Output } from '../swarmcut/CertificateRequest.ts';
import type { Chunk as _swarmcut_Chunk, Chunk__Output as _swarmcut_Chunk__Output } from '../swarmcut/Chunk.ts';
import type { CollectRequest as _swarmcut_CollectRequest, CollectRequest__Output as _swarmcut_CollectRequest__Output } from '../swarmcut/CollectRequest.ts';
import type { ConnectionsReply as _swarmcut_ConnectionsReply, ConnectionsReply__Output as _swarmcut_ConnectionsReply__Output } from '../swarmcut/ConnectionsReply.ts';
import type { ContainerRequest as _swarmcut_ContainerRequest, ContainerRequest__Output as _swarmcut_ContainerRequest__Output } from '../swarmcut/ContainerRequest.ts';
import type { CutReply as _swarmcut_CutReply, CutReply__Output as _swarmcut_CutReply__Output } from '../swarmcut/CutReply.ts';
import type { CutRequest as _swarmcut_CutRequest, CutRequest__Output as _swarmcut_CutRequest__Output } from '../swarmcut/CutRequest.ts';
import type { Empty as _swarmcut_Empty, Empty__Output as _swarmcut_Empty__Output } from '../swarmcut/Empty.ts';
import type { ExpectRequest as _swarmcut_ExpectRequest, ExpectRequest__Output as _swarmcut_ExpectRequest__Output } from '../swarmcut/ExpectRequest.ts';
import type { FetchRequest as _swarmcut_FetchRequest, FetchRequest__Output as _swarmcut_FetchRequest__Output } from '../swarmcut/FetchRequest.ts';
import type { IdentityReply as _swarmcut_IdentityReply, IdentityReply__Output as _swarmcut_IdentityReply__Output } from '../swarmcut/IdentityReply.ts';
import type { InfoReply as _swarmcut_InfoReply, InfoReply__Output as _swarmcut_InfoReply__Output } from '../swarmcut/InfoReply.ts';
import type { InfoRequest as _swarmcut_InfoRequest, InfoRequest__Output as _swarmcut_InfoRequest__Output } from '../swarmcut/InfoRequest.ts';
import type { InstallCertificateRequest as _swarmcut_InstallCertificateRequest, InstallCertificateRequest__Output as _swarmcut_InstallCertificateRequest__Output } from '../swarmcut/InstallCertificateRequest.ts';
import type { KeepRequest as _swarmcut_KeepRequest, KeepRequest__Output as _swarmcut_KeepRequest__Output } from '../swarmcut/KeepRequest.ts';
import type { LeftoversReply as _swarmcut_LeftoversReply, LeftoversReply__Output as _swarmcut_LeftoversReply__Output } from '../swarmcut/LeftoversReply.ts';
import type { LeftoversRequest as _swarmcut_LeftoversRequest, LeftoversRequest__Output as _swarmcut_LeftoversRequest__Output } from '../swarmcut/LeftoversRequest.ts';
import type { ListRestoresReply as _swarmcut_ListRestoresReply, ListRestoresReply__Output as _swarmcut_ListRestoresReply__Output } from '../swarmcut/ListRestoresReply.ts';
import type { ListSnapshotsReply as _swarmcut_ListSnapshotsReply, ListSnapshotsReply__Output as _swarmcut_ListSnapshotsReply__Output } from '../swarmcut/ListSnapshotsReply.ts';
import type { LookReply as _swarmcut_LookReply, LookReply__Output as _swarmcut_LookReply__Output } from '../swarmcut/LookReply.ts';
import type { LookRequest as _swarmcut_LookRequest, LookRequest__Output as _swarmcut_LookRequest__Output } from '../swarmcut/LookRequest.ts';
import type { PrepareRequest as _swarmcut_PrepareRequest, PrepareRequest__Output as _swarmcut_PrepareRequest__Output } from '../swarmcut/PrepareRequest.ts';
import type { PrepareRetirementRequest as _swarmcut_PrepareRetirementRequest, PrepareRetirementRequest__Output as _swarmcut_PrepareRetirementRequest__Output } from '../swarmcut/PrepareRetirementRequest.ts';
import type { PreserveReply as _swarmcut_PreserveReply, PreserveReply__Output as _swarmcut_PreserveReply__Output } from '../swarmcut/PreserveReply.ts';
import type { ProgressReply as _swarmcut_ProgressReply, ProgressReply__Output as _swarmcut_ProgressReply__Output } from '../swarmcut/ProgressReply.ts';
import type { ProgressRequest as _swarmcut_ProgressRequest, ProgressRequest__Output as _swarmcut_ProgressRequest__Output } from '../swarmcut/ProgressRequest.ts';
import type { RecordedReply as _swarmcut_RecordedReply, RecordedReply__Output as _swarmcut_RecordedReply__Output } from '../swarmcut/RecordedReply.ts';
import type { RemoveRequest as _swarmcut_RemoveRequest, RemoveRequest__Output as _swarmcut_RemoveRequest__Output } from '../swarmcut/RemoveRequest.ts';
import type { RestoreEvent as _swarmcut_RestoreEvent, RestoreEvent__Output as _swarmcut_RestoreEvent__Output } from '../swarmcut/RestoreEvent.ts';
import type { RestoreRequest as _swarmcut_RestoreRequest, RestoreRequest__Output as _swarmcut_RestoreRequest__Output } from '../swarmcut/RestoreRequest.ts';
import type { RestoreTaskReply as _swarmcut_RestoreTaskReply, RestoreTaskReply__Output as _swarmcut_RestoreTaskReply__Output } from '../swarmcut/RestoreTaskReply.ts';
import type { RestoreTaskRequest as _swarmcut_RestoreTaskRequest, RestoreTaskRequest__Output as _swarmcut_RestoreTaskRequest__Output } from '../swarmcut/RestoreTaskRequest.ts';
import type { RewriteRequest as _swarmcut_RewriteRequest, RewriteRequest__Output as _swarmcut_RewriteRequest__Output } from '../swarmcut/RewriteRequest.ts';
import type { SealedManifest as _swarmcut_SealedManifest, SealedManifest__Output as _swarmcut_SealedManifest__Output } from '../swarmcut/SealedManifest.ts';
import type { SidecarsReply as _swarmcut_SidecarsReply, SidecarsReply__Output as _swarmcut_SidecarsReply__Output } from '../swarmcut/SidecarsReply.ts';
import type { SnapshotRequest as _swarmcut_SnapshotRequest, SnapshotRequest__Output as _swarmcut_SnapshotRequest__Output } from '../swarmcut/SnapshotRequest.ts';
import type { StackRequest as _swarmcut_StackRequest, StackRequest__Output as _swarmcut_StackRequest__Output } from '../swarmcut/StackRequest.ts';
import type { StageReply as _swarmcut_StageReply, StageReply__Output as _swarmcut_StageReply__Output } from '../swarmcut/StageReply.ts';
import type { StageRequest as _swarmcut_StageRequest, StageRequest__Output as _swarmcut_StageRequest__Output } from '../swarmcut/StageRequest.ts';
import type { SuspendRequest as _swarmcut_SuspendRequest, SuspendRequest__Output as _swarmcut_SuspendRequest__Output } from '../swarmcut/SuspendRequest.ts';
import type { TakeOverRequest as _swarmcut_TakeOverRequest, TakeOverRequest__Output as _swarmcut_TakeOverRequest__Output } from '../swarmcut/TakeOverRequest.ts';
import type { TaskCheckpoint as _swarmcut_TaskCheckpoint, TaskCheckpoint__Output as _swarmcut_TaskCheckpoint__Output } from '../swarmcut/TaskCheckpoint.ts';
import type { TaskRequest as _swarmcut_TaskRequest, TaskRequest__Output as _swarmcut_TaskRequest__Output } from '../swarmcut/TaskRequest.ts';
import type { TrustRequest as _swarmcut_TrustRequest, TrustRequest__Output as _swarmcut_TrustRequest__Output } from '../swarmcut/TrustRequest.ts';
import type { VerifyReply as _swarmcut_VerifyReply, VerifyReply__Output as _swarmcut_VerifyReply__Output } from '../swarmcut/VerifyReply.ts';
import type { VerifyRequest as _swarmcut_VerifyRequest, VerifyRequest__Output as _swarmcut_VerifyRequest__Output } from '../swarmcut/VerifyRequest.ts';

export interface AgentClient extends grpc.Client {
  Abort(argument: _swarmcut_AbortRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Abort(argument: _swarmcut_AbortRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Abort(argument: _swarmcut_AbortRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Abort(argument: _swarmcut_AbortRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  abort(argument: _swarmcut_AbortRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  abort(argument: _swarmcut_AbortRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  abort(argument: _swarmcut_AbortRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  abort(argument: _swarmcut_AbortRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  AbortRestore(argument: _swarmcut_AbortRestoreRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  AbortRestore(argument: _swarmcut_AbortRestoreRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  AbortRestore(argument: _swarmcut_AbortRestoreRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  AbortRestore(argument: _swarmcut_AbortRestoreRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  abortRestore(argument: _swarmcut_AbortRestoreRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  abortRestore(argument: _swarmcut_AbortRestoreRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  abortRestore(argument: _swarmcut_AbortRestoreRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  abortRestore(argument: _swarmcut_AbortRestoreRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Attach(argument: _swarmcut_AttachRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_AttachReply__Output>): grpc.ClientUnaryCall;
  Attach(argument: _swarmcut_AttachRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_AttachReply__Output>): grpc.ClientUnaryCall;
  Attach(argument: _swarmcut_AttachRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_AttachReply__Output>): grpc.ClientUnaryCall;
  Attach(argument: _swarmcut_AttachRequest, callback: grpc.requestCallback<_swarmcut_AttachReply__Output>): grpc.ClientUnaryCall;
  attach(argument: _swarmcut_AttachRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_AttachReply__Output>): grpc.ClientUnaryCall;
  attach(argument: _swarmcut_AttachRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_AttachReply__Output>): grpc.ClientUnaryCall;
  attach(argument: _swarmcut_AttachRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_AttachReply__Output>): grpc.ClientUnaryCall;
  attach(argument: _swarmcut_AttachRequest, callback: grpc.requestCallback<_swarmcut_AttachReply__Output>): grpc.ClientUnaryCall;
  
  Collect(argument: _swarmcut_CollectRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_TaskCheckpoint__Output>): grpc.ClientUnaryCall;
  Collect(argument: _swarmcut_CollectRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_TaskCheckpoint__Output>): grpc.ClientUnaryCall;
  Collect(argument: _swarmcut_CollectRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_TaskCheckpoint__Output>): grpc.ClientUnaryCall;
  Collect(argument: _swarmcut_CollectRequest, callback: grpc.requestCallback<_swarmcut_TaskCheckpoint__Output>): grpc.ClientUnaryCall;
  collect(argument: _swarmcut_CollectRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_TaskCheckpoint__Output>): grpc.ClientUnaryCall;
  collect(argument: _swarmcut_CollectRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_TaskCheckpoint__Output>): grpc.ClientUnaryCall;
  collect(argument: _swarmcut_CollectRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_TaskCheckpoint__Output>): grpc.ClientUnaryCall;
  collect(argument: _swarmcut_CollectRequest, callback: grpc.requestCallback<_swarmcut_TaskCheckpoint__Output>): grpc.ClientUnaryCall;
  
  Connections(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ConnectionsReply__Output>): grpc.ClientUnaryCall;
  Connections(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_ConnectionsReply__Output>): grpc.ClientUnaryCall;
  Connections(argument: _swarmcut_ContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ConnectionsReply__Output>): grpc.ClientUnaryCall;
  Connections(argument: _swarmcut_ContainerRequest, callback: grpc.requestCallback<_swarmcut_ConnectionsReply__Output>): grpc.ClientUnaryCall;
  connections(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ConnectionsReply__Output>): grpc.ClientUnaryCall;
  connections(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_ConnectionsReply__Output>): grpc.ClientUnaryCall;
  connections(argument: _swarmcut_ContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ConnectionsReply__Output>): grpc.ClientUnaryCall;
  connections(argument: _swarmcut_ContainerRequest, callback: grpc.requestCallback<_swarmcut_ConnectionsReply__Output>): grpc.ClientUnaryCall;
  
  Cut(argument: _swarmcut_CutRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_CutReply__Output>): grpc.ClientUnaryCall;
  Cut(argument: _swarmcut_CutRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_CutReply__Output>): grpc.ClientUnaryCall;
  Cut(argument: _swarmcut_CutRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_CutReply__Output>): grpc.ClientUnaryCall;
  Cut(argument: _swarmcut_CutRequest, callback: grpc.requestCallback<_swarmcut_CutReply__Output>): grpc.ClientUnaryCall;
  cut(argument: _swarmcut_CutRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_CutReply__Output>): grpc.ClientUnaryCall;
  cut(argument: _swarmcut_CutRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_CutReply__Output>): grpc.ClientUnaryCall;
  cut(argument: _swarmcut_CutRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_CutReply__Output>): grpc.ClientUnaryCall;
  cut(argument: _swarmcut_CutRequest, callback: grpc.requestCallback<_swarmcut_CutReply__Output>): grpc.ClientUnaryCall;
  
  Detach(argument: _swarmcut_StackRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Detach(argument: _swarmcut_StackRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Detach(argument: _swarmcut_StackRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Detach(argument: _swarmcut_StackRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  detach(argument: _swarmcut_StackRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  detach(argument: _swarmcut_StackRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  detach(argument: _swarmcut_StackRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  detach(argument: _swarmcut_StackRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  EndRestore(argument: _swarmcut_RestoreRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  EndRestore(argument: _swarmcut_RestoreRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  EndRestore(argument: _swarmcut_RestoreRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  EndRestore(argument: _swarmcut_RestoreRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  endRestore(argument: _swarmcut_RestoreRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  endRestore(argument: _swarmcut_RestoreRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  endRestore(argument: _swarmcut_RestoreRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  endRestore(argument: _swarmcut_RestoreRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Expect(argument: _swarmcut_ExpectRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Expect(argument: _swarmcut_ExpectRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Expect(argument: _swarmcut_ExpectRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Expect(argument: _swarmcut_ExpectRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  expect(argument: _swarmcut_ExpectRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  expect(argument: _swarmcut_ExpectRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  expect(argument: _swarmcut_ExpectRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  expect(argument: _swarmcut_ExpectRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Fetch(argument: _swarmcut_FetchRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_swarmcut_Chunk__Output>;
  Fetch(argument: _swarmcut_FetchRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_swarmcut_Chunk__Output>;
  fetch(argument: _swarmcut_FetchRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_swarmcut_Chunk__Output>;
  fetch(argument: _swarmcut_FetchRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_swarmcut_Chunk__Output>;
  
  Finish(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Finish(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Finish(argument: _swarmcut_SnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Finish(argument: _swarmcut_SnapshotRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  finish(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  finish(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  finish(argument: _swarmcut_SnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  finish(argument: _swarmcut_SnapshotRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Identity(argument: _swarmcut_Empty, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_IdentityReply__Output>): grpc.ClientUnaryCall;
  Identity(argument: _swarmcut_Empty, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_IdentityReply__Output>): grpc.ClientUnaryCall;
  Identity(argument: _swarmcut_Empty, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_IdentityReply__Output>): grpc.ClientUnaryCall;
  Identity(argument: _swarmcut_Empty, callback: grpc.requestCallback<_swarmcut_IdentityReply__Output>): grpc.ClientUnaryCall;
  identity(argument: _swarmcut_Empty, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_IdentityReply__Output>): grpc.ClientUnaryCall;
  identity(argument: _swarmcut_Empty, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_IdentityReply__Output>): grpc.ClientUnaryCall;
  identity(argument: _swarmcut_Empty, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_IdentityReply__Output>): grpc.ClientUnaryCall;
  identity(argument: _swarmcut_Empty, callback: grpc.requestCallback<_swarmcut_IdentityReply__Output>): grpc.ClientUnaryCall;
  
  Info(argument: _swarmcut_InfoRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_InfoReply__Output>): grpc.ClientUnaryCall;
  Info(argument: _swarmcut_InfoRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_InfoReply__Output>): grpc.ClientUnaryCall;
  Info(argument: _swarmcut_InfoRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_InfoReply__Output>): grpc.ClientUnaryCall;
  Info(argument: _swarmcut_InfoRequest, callback: grpc.requestCallback<_swarmcut_InfoReply__Output>): grpc.ClientUnaryCall;
  info(argument: _swarmcut_InfoRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_InfoReply__Output>): grpc.ClientUnaryCall;
  info(argument: _swarmcut_InfoRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_InfoReply__Output>): grpc.ClientUnaryCall;
  info(argument: _swarmcut_InfoRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_InfoReply__Output>): grpc.ClientUnaryCall;
  info(argument: _swarmcut_InfoRequest, callback: grpc.requestCallback<_swarmcut_InfoReply__Output>): grpc.ClientUnaryCall;
  
  InstallCertificate(argument: _swarmcut_InstallCertificateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  InstallCertificate(argument: _swarmcut_InstallCertificateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  InstallCertificate(argument: _swarmcut_InstallCertificateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  InstallCertificate(argument: _swarmcut_InstallCertificateRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  installCertificate(argument: _swarmcut_InstallCertificateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  installCertificate(argument: _swarmcut_InstallCertificateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  installCertificate(argument: _swarmcut_InstallCertificateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  installCertificate(argument: _swarmcut_InstallCertificateRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Keep(argument: _swarmcut_KeepRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Keep(argument: _swarmcut_KeepRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Keep(argument: _swarmcut_KeepRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Keep(argument: _swarmcut_KeepRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  keep(argument: _swarmcut_KeepRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  keep(argument: _swarmcut_KeepRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  keep(argument: _swarmcut_KeepRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  keep(argument: _swarmcut_KeepRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  KeepManifest(argument: _swarmcut_SealedManifest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  KeepManifest(argument: _swarmcut_SealedManifest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  KeepManifest(argument: _swarmcut_SealedManifest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  KeepManifest(argument: _swarmcut_SealedManifest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  keepManifest(argument: _swarmcut_SealedManifest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  keepManifest(argument: _swarmcut_SealedManifest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  keepManifest(argument: _swarmcut_SealedManifest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  keepManifest(argument: _swarmcut_SealedManifest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Leftovers(argument: _swarmcut_LeftoversRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_LeftoversReply__Output>): grpc.ClientUnaryCall;
  Leftovers(argument: _swarmcut_LeftoversRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_LeftoversReply__Output>): grpc.ClientUnaryCall;
  Leftovers(argument: _swarmcut_LeftoversRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_LeftoversReply__Output>): grpc.ClientUnaryCall;
  Leftovers(argument: _swarmcut_LeftoversRequest, callback: grpc.requestCallback<_swarmcut_LeftoversReply__Output>): grpc.ClientUnaryCall;
  leftovers(argument: _swarmcut_LeftoversRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_LeftoversReply__Output>): grpc.ClientUnaryCall;
  leftovers(argument: _swarmcut_LeftoversRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_LeftoversReply__Output>): grpc.ClientUnaryCall;
  leftovers(argument: _swarmcut_LeftoversRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_LeftoversReply__Output>): grpc.ClientUnaryCall;
  leftovers(argument: _swarmcut_LeftoversRequest, callback: grpc.requestCallback<_swarmcut_LeftoversReply__Output>): grpc.ClientUnaryCall;
  
  ListRestores(argument: _swarmcut_Empty, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ListRestoresReply__Output>): grpc.ClientUnaryCall;
  ListRestores(argument: _swarmcut_Empty, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_ListRestoresReply__Output>): grpc.ClientUnaryCall;
  ListRestores(argument: _swarmcut_Empty, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ListRestoresReply__Output>): grpc.ClientUnaryCall;
  ListRestores(argument: _swarmcut_Empty, callback: grpc.requestCallback<_swarmcut_ListRestoresReply__Output>): grpc.ClientUnaryCall;
  listRestores(argument: _swarmcut_Empty, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ListRestoresReply__Output>): grpc.ClientUnaryCall;
  listRestores(argument: _swarmcut_Empty, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_ListRestoresReply__Output>): grpc.ClientUnaryCall;
  listRestores(argument: _swarmcut_Empty, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ListRestoresReply__Output>): grpc.ClientUnaryCall;
  listRestores(argument: _swarmcut_Empty, callback: grpc.requestCallback<_swarmcut_ListRestoresReply__Output>): grpc.ClientUnaryCall;
  
  ListSnapshots(argument: _swarmcut_Empty, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ListSnapshotsReply__Output>): grpc.ClientUnaryCall;
  ListSnapshots(argument: _swarmcut_Empty, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_ListSnapshotsReply__Output>): grpc.ClientUnaryCall;
  ListSnapshots(argument: _swarmcut_Empty, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ListSnapshotsReply__Output>): grpc.ClientUnaryCall;
  ListSnapshots(argument: _swarmcut_Empty, callback: grpc.requestCallback<_swarmcut_ListSnapshotsReply__Output>): grpc.ClientUnaryCall;
  listSnapshots(argument: _swarmcut_Empty, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ListSnapshotsReply__Output>): grpc.ClientUnaryCall;
  listSnapshots(argument: _swarmcut_Empty, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_ListSnapshotsReply__Output>): grpc.ClientUnaryCall;
  listSnapshots(argument: _swarmcut_Empty, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ListSnapshotsReply__Output>): grpc.ClientUnaryCall;
  listSnapshots(argument: _swarmcut_Empty, callback: grpc.requestCallback<_swarmcut_ListSnapshotsReply__Output>): grpc.ClientUnaryCall;
  
  Look(argument: _swarmcut_LookRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_LookReply__Output>): grpc.ClientUnaryCall;
  Look(argument: _swarmcut_LookRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_LookReply__Output>): grpc.ClientUnaryCall;
  Look(argument: _swarmcut_LookRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_LookReply__Output>): grpc.ClientUnaryCall;
  Look(argument: _swarmcut_LookRequest, callback: grpc.requestCallback<_swarmcut_LookReply__Output>): grpc.ClientUnaryCall;
  look(argument: _swarmcut_LookRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_LookReply__Output>): grpc.ClientUnaryCall;
  look(argument: _swarmcut_LookRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_LookReply__Output>): grpc.ClientUnaryCall;
  look(argument: _swarmcut_LookRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_LookReply__Output>): grpc.ClientUnaryCall;
  look(argument: _swarmcut_LookRequest, callback: grpc.requestCallback<_swarmcut_LookReply__Output>): grpc.ClientUnaryCall;
  
  Manifest(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_SealedManifest__Output>): grpc.ClientUnaryCall;
  Manifest(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_SealedManifest__Output>): grpc.ClientUnaryCall;
  Manifest(argument: _swarmcut_SnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_SealedManifest__Output>): grpc.ClientUnaryCall;
  Manifest(argument: _swarmcut_SnapshotRequest, callback: grpc.requestCallback<_swarmcut_SealedManifest__Output>): grpc.ClientUnaryCall;
  manifest(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_SealedManifest__Output>): grpc.ClientUnaryCall;
  manifest(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_SealedManifest__Output>): grpc.ClientUnaryCall;
  manifest(argument: _swarmcut_SnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_SealedManifest__Output>): grpc.ClientUnaryCall;
  manifest(argument: _swarmcut_SnapshotRequest, callback: grpc.requestCallback<_swarmcut_SealedManifest__Output>): grpc.ClientUnaryCall;
  
  Pass(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Pass(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Pass(argument: _swarmcut_ContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Pass(argument: _swarmcut_ContainerRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  pass(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  pass(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  pass(argument: _swarmcut_ContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  pass(argument: _swarmcut_ContainerRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Prepare(argument: _swarmcut_PrepareRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Prepare(argument: _swarmcut_PrepareRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Prepare(argument: _swarmcut_PrepareRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Prepare(argument: _swarmcut_PrepareRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  prepare(argument: _swarmcut_PrepareRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  prepare(argument: _swarmcut_PrepareRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  prepare(argument: _swarmcut_PrepareRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  prepare(argument: _swarmcut_PrepareRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  PrepareRetirement(argument: _swarmcut_PrepareRetirementRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  PrepareRetirement(argument: _swarmcut_PrepareRetirementRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  PrepareRetirement(argument: _swarmcut_PrepareRetirementRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  PrepareRetirement(argument: _swarmcut_PrepareRetirementRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  prepareRetirement(argument: _swarmcut_PrepareRetirementRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  prepareRetirement(argument: _swarmcut_PrepareRetirementRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  prepareRetirement(argument: _swarmcut_PrepareRetirementRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  prepareRetirement(argument: _swarmcut_PrepareRetirementRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Preserve(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_PreserveReply__Output>): grpc.ClientUnaryCall;
  Preserve(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_PreserveReply__Output>): grpc.ClientUnaryCall;
  Preserve(argument: _swarmcut_SnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_PreserveReply__Output>): grpc.ClientUnaryCall;
  Preserve(argument: _swarmcut_SnapshotRequest, callback: grpc.requestCallback<_swarmcut_PreserveReply__Output>): grpc.ClientUnaryCall;
  preserve(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_PreserveReply__Output>): grpc.ClientUnaryCall;
  preserve(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_PreserveReply__Output>): grpc.ClientUnaryCall;
  preserve(argument: _swarmcut_SnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_PreserveReply__Output>): grpc.ClientUnaryCall;
  preserve(argument: _swarmcut_SnapshotRequest, callback: grpc.requestCallback<_swarmcut_PreserveReply__Output>): grpc.ClientUnaryCall;
  
  Progress(argument: _swarmcut_ProgressRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ProgressReply__Output>): grpc.ClientUnaryCall;
  Progress(argument: _swarmcut_ProgressRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_ProgressReply__Output>): grpc.ClientUnaryCall;
  Progress(argument: _swarmcut_ProgressRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ProgressReply__Output>): grpc.ClientUnaryCall;
  Progress(argument: _swarmcut_ProgressRequest, callback: grpc.requestCallback<_swarmcut_ProgressReply__Output>): grpc.ClientUnaryCall;
  progress(argument: _swarmcut_ProgressRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ProgressReply__Output>): grpc.ClientUnaryCall;
  progress(argument: _swarmcut_ProgressRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_ProgressReply__Output>): grpc.ClientUnaryCall;
  progress(argument: _swarmcut_ProgressRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_ProgressReply__Output>): grpc.ClientUnaryCall;
  progress(argument: _swarmcut_ProgressRequest, callback: grpc.requestCallback<_swarmcut_ProgressReply__Output>): grpc.ClientUnaryCall;
  
  Recorded(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_RecordedReply__Output>): grpc.ClientUnaryCall;
  Recorded(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_RecordedReply__Output>): grpc.ClientUnaryCall;
  Recorded(argument: _swarmcut_SnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_RecordedReply__Output>): grpc.ClientUnaryCall;
  Recorded(argument: _swarmcut_SnapshotRequest, callback: grpc.requestCallback<_swarmcut_RecordedReply__Output>): grpc.ClientUnaryCall;
  recorded(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_RecordedReply__Output>): grpc.ClientUnaryCall;
  recorded(argument: _swarmcut_SnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_RecordedReply__Output>): grpc.ClientUnaryCall;
  recorded(argument: _swarmcut_SnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_RecordedReply__Output>): grpc.ClientUnaryCall;
  recorded(argument: _swarmcut_SnapshotRequest, callback: grpc.requestCallback<_swarmcut_RecordedReply__Output>): grpc.ClientUnaryCall;
  
  Release(argument: _swarmcut_TaskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Release(argument: _swarmcut_TaskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Release(argument: _swarmcut_TaskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Release(argument: _swarmcut_TaskRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  release(argument: _swarmcut_TaskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  release(argument: _swarmcut_TaskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  release(argument: _swarmcut_TaskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  release(argument: _swarmcut_TaskRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  ReleaseRestored(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  ReleaseRestored(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  ReleaseRestored(argument: _swarmcut_ContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  ReleaseRestored(argument: _swarmcut_ContainerRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  releaseRestored(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  releaseRestored(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  releaseRestored(argument: _swarmcut_ContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  releaseRestored(argument: _swarmcut_ContainerRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Remove(argument: _swarmcut_RemoveRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Remove(argument: _swarmcut_RemoveRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Remove(argument: _swarmcut_RemoveRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Remove(argument: _swarmcut_RemoveRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  remove(argument: _swarmcut_RemoveRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  remove(argument: _swarmcut_RemoveRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  remove(argument: _swarmcut_RemoveRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  remove(argument: _swarmcut_RemoveRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  RequestCertificate(argument: _swarmcut_Empty, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_CertificateRequest__Output>): grpc.ClientUnaryCall;
  RequestCertificate(argument: _swarmcut_Empty, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_CertificateRequest__Output>): grpc.ClientUnaryCall;
  RequestCertificate(argument: _swarmcut_Empty, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_CertificateRequest__Output>): grpc.ClientUnaryCall;
  RequestCertificate(argument: _swarmcut_Empty, callback: grpc.requestCallback<_swarmcut_CertificateRequest__Output>): grpc.ClientUnaryCall;
  requestCertificate(argument: _swarmcut_Empty, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_CertificateRequest__Output>): grpc.ClientUnaryCall;
  requestCertificate(argument: _swarmcut_Empty, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_CertificateRequest__Output>): grpc.ClientUnaryCall;
  requestCertificate(argument: _swarmcut_Empty, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_CertificateRequest__Output>): grpc.ClientUnaryCall;
  requestCertificate(argument: _swarmcut_Empty, callback: grpc.requestCallback<_swarmcut_CertificateRequest__Output>): grpc.ClientUnaryCall;
  
  Restore(argument: _swarmcut_RestoreTaskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_RestoreTaskReply__Output>): grpc.ClientUnaryCall;
  Restore(argument: _swarmcut_RestoreTaskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_RestoreTaskReply__Output>): grpc.ClientUnaryCall;
  Restore(argument: _swarmcut_RestoreTaskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_RestoreTaskReply__Output>): grpc.ClientUnaryCall;
  Restore(argument: _swarmcut_RestoreTaskRequest, callback: grpc.requestCallback<_swarmcut_RestoreTaskReply__Output>): grpc.ClientUnaryCall;
  restore(argument: _swarmcut_RestoreTaskRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_RestoreTaskReply__Output>): grpc.ClientUnaryCall;
  restore(argument: _swarmcut_RestoreTaskRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_RestoreTaskReply__Output>): grpc.ClientUnaryCall;
  restore(argument: _swarmcut_RestoreTaskRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_RestoreTaskReply__Output>): grpc.ClientUnaryCall;
  restore(argument: _swarmcut_RestoreTaskRequest, callback: grpc.requestCallback<_swarmcut_RestoreTaskReply__Output>): grpc.ClientUnaryCall;
  
  Resume(argument: _swarmcut_AbortRestoreRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Resume(argument: _swarmcut_AbortRestoreRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Resume(argument: _swarmcut_AbortRestoreRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Resume(argument: _swarmcut_AbortRestoreRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  resume(argument: _swarmcut_AbortRestoreRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  resume(argument: _swarmcut_AbortRestoreRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  resume(argument: _swarmcut_AbortRestoreRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  resume(argument: _swarmcut_AbortRestoreRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Retire(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Retire(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Retire(argument: _swarmcut_ContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Retire(argument: _swarmcut_ContainerRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  retire(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  retire(argument: _swarmcut_ContainerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  retire(argument: _swarmcut_ContainerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  retire(argument: _swarmcut_ContainerRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Rewrite(argument: _swarmcut_RewriteRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Rewrite(argument: _swarmcut_RewriteRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Rewrite(argument: _swarmcut_RewriteRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Rewrite(argument: _swarmcut_RewriteRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  rewrite(argument: _swarmcut_RewriteRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  rewrite(argument: _swarmcut_RewriteRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  rewrite(argument: _swarmcut_RewriteRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  rewrite(argument: _swarmcut_RewriteRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Sidecars(argument: _swarmcut_StackRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_SidecarsReply__Output>): grpc.ClientUnaryCall;
  Sidecars(argument: _swarmcut_StackRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_SidecarsReply__Output>): grpc.ClientUnaryCall;
  Sidecars(argument: _swarmcut_StackRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_SidecarsReply__Output>): grpc.ClientUnaryCall;
  Sidecars(argument: _swarmcut_StackRequest, callback: grpc.requestCallback<_swarmcut_SidecarsReply__Output>): grpc.ClientUnaryCall;
  sidecars(argument: _swarmcut_StackRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_SidecarsReply__Output>): grpc.ClientUnaryCall;
  sidecars(argument: _swarmcut_StackRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_SidecarsReply__Output>): grpc.ClientUnaryCall;
  sidecars(argument: _swarmcut_StackRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_SidecarsReply__Output>): grpc.ClientUnaryCall;
  sidecars(argument: _swarmcut_StackRequest, callback: grpc.requestCallback<_swarmcut_SidecarsReply__Output>): grpc.ClientUnaryCall;
  
  Stage(argument: _swarmcut_StageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_StageReply__Output>): grpc.ClientUnaryCall;
  Stage(argument: _swarmcut_StageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_StageReply__Output>): grpc.ClientUnaryCall;
  Stage(argument: _swarmcut_StageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_StageReply__Output>): grpc.ClientUnaryCall;
  Stage(argument: _swarmcut_StageRequest, callback: grpc.requestCallback<_swarmcut_StageReply__Output>): grpc.ClientUnaryCall;
  stage(argument: _swarmcut_StageRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_StageReply__Output>): grpc.ClientUnaryCall;
  stage(argument: _swarmcut_StageRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_StageReply__Output>): grpc.ClientUnaryCall;
  stage(argument: _swarmcut_StageRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_StageReply__Output>): grpc.ClientUnaryCall;
  stage(argument: _swarmcut_StageRequest, callback: grpc.requestCallback<_swarmcut_StageReply__Output>): grpc.ClientUnaryCall;
  
  Suspend(argument: _swarmcut_SuspendRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Suspend(argument: _swarmcut_SuspendRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Suspend(argument: _swarmcut_SuspendRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Suspend(argument: _swarmcut_SuspendRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  suspend(argument: _swarmcut_SuspendRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  suspend(argument: _swarmcut_SuspendRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  suspend(argument: _swarmcut_SuspendRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  suspend(argument: _swarmcut_SuspendRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  TakeOver(argument: _swarmcut_TakeOverRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  TakeOver(argument: _swarmcut_TakeOverRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  TakeOver(argument: _swarmcut_TakeOverRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  TakeOver(argument: _swarmcut_TakeOverRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  takeOver(argument: _swarmcut_TakeOverRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  takeOver(argument: _swarmcut_TakeOverRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  takeOver(argument: _swarmcut_TakeOverRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  takeOver(argument: _swarmcut_TakeOverRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Trust(argument: _swarmcut_TrustRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Trust(argument: _swarmcut_TrustRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Trust(argument: _swarmcut_TrustRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  Trust(argument: _swarmcut_TrustRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  trust(argument: _swarmcut_TrustRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  trust(argument: _swarmcut_TrustRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  trust(argument: _swarmcut_TrustRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  trust(argument: _swarmcut_TrustRequest, callback: grpc.requestCallback<_swarmcut_Empty__Output>): grpc.ClientUnaryCall;
  
  Verify(argument: _swarmcut_VerifyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_VerifyReply__Output>): grpc.ClientUnaryCall;
  Verify(argument: _swarmcut_VerifyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_VerifyReply__Output>): grpc.ClientUnaryCall;
  Verify(argument: _swarmcut_VerifyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_VerifyReply__Output>): grpc.ClientUnaryCall;
  Verify(argument: _swarmcut_VerifyRequest, callback: grpc.requestCallback<_swarmcut_VerifyReply__Output>): grpc.ClientUnaryCall;
  verify(argument: _swarmcut_VerifyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_VerifyReply__Output>): grpc.ClientUnaryCall;
  verify(argument: _swarmcut_VerifyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_swarmcut_VerifyReply__Output>): grpc.ClientUnaryCall;
  verify(argument: _swarmcut_VerifyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_swarmcut_VerifyReply__Output>): grpc.ClientUnaryCall;
  verify(argument: _swarmcut_VerifyRequest, callback: grpc.requestCallback<_swarmcut_VerifyReply__Output>): grpc.ClientUnaryCall;
  
  WatchRestore(argument: _swarmcut_RestoreRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_swarmcut_RestoreEvent__Output>;
  WatchRestore(argument: _swarmcut_RestoreRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_swarmcut_RestoreEvent__Output>;
  watchRestore(argument: _swarmcut_RestoreRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_swarmcut_RestoreEvent__Output>;
  watchRestore(argument: _swarmcut_RestoreRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_swarmcut_RestoreEvent__Output>;
  
}

export interface AgentHandlers extends grpc.UntypedServiceImplementation {
  Abort: grpc.handleUnaryCall<_swarmcut_AbortRequest__Output, _swarmcut_Empty>;
  
  AbortRestore: grpc.handleUnaryCall<_swarmcut_AbortRestoreRequest__Output, _swarmcut_Empty>;
  
  Attach: grpc.handleUnaryCall<_swarmcut_AttachRequest__Output, _swarmcut_AttachReply>;
  
  Collect: grpc.handleUnaryCall<_swarmcut_CollectRequest__Output, _swarmcut_TaskCheckpoint>;
  
  Connections: grpc.handleUnaryCall<_swarmcut_ContainerRequest__Output, _swarmcut_ConnectionsReply>;
  
  Cut: grpc.handleUnaryCall<_swarmcut_CutRequest__Output, _swarmcut_CutReply>;
  
  Detach: grpc.handleUnaryCall<_swarmcut_StackRequest__Output, _swarmcut_Empty>;
  
  EndRestore: grpc.handleUnaryCall<_swarmcut_RestoreRequest__Output, _swarmcut_Empty>;
  
  Expect: grpc.handleUnaryCall<_swarmcut_ExpectRequest__Output, _swarmcut_Empty>;
  
  Fetch: grpc.handleServerStreamingCall<_swarmcut_FetchRequest__Output, _swarmcut_Chunk>;
  
  Finish: grpc.handleUnaryCall<_swarmcut_SnapshotRequest__Output, _swarmcut_Empty>;
  
  Identity: grpc.handleUnaryCall<_swarmcut_Empty__Output, _swarmcut_IdentityReply>;
  
  Info: grpc.handleUnaryCall<_swarmcut_InfoRequest__Output, _swarmcut_InfoReply>;
  
  InstallCertificate: grpc.handleUnaryCall<_swarmcut_InstallCertificateRequest__Output, _swarmcut_Empty>;
  
  Keep: grpc.handleUnaryCall<_swarmcut_KeepRequest__Output, _swarmcut_Empty>;
  
  KeepManifest: grpc.handleUnaryCall<_swarmcut_SealedManifest__Output, _swarmcut_Empty>;
  
  Leftovers: grpc.handleUnaryCall<_swarmcut_LeftoversRequest__Output, _swarmcut_LeftoversReply>;
  
  ListRestores: grpc.handleUnaryCall<_swarmcut_Empty__Output, _swarmcut_ListRestoresReply>;
  
  ListSnapshots: grpc.handleUnaryCall<_swarmcut_Empty__Output, _swarmcut_ListSnapshotsReply>;
  
  Look: grpc.handleUnaryCall<_swarmcut_LookRequest__Output, _swarmcut_LookReply>;
  
  Manifest: grpc.handleUnaryCall<_swarmcut_SnapshotRequest__Output, _swarmcut_SealedManifest>;
  
  Pass: grpc.handleUnaryCall<_swarmcut_ContainerRequest__Output, _swarmcut_Empty>;
  
  Prepare: grpc.handleUnaryCall<_swarmcut_PrepareRequest__Output, _swarmcut_Empty>;
  
  PrepareRetirement: grpc.handleUnaryCall<_swarmcut_PrepareRetirementRequest__Output, _swarmcut_Empty>;
  
  Preserve: grpc.handleUnaryCall<_swarmcut_SnapshotRequest__Output, _swarmcut_PreserveReply>;
  
  Progress: grpc.handleUnaryCall<_swarmcut_ProgressRequest__Output, _swarmcut_ProgressReply>;
  
  Recorded: grpc.handleUnaryCall<_swarmcut_SnapshotRequest__Output, _swarmcut_RecordedReply>;
  
  Release: grpc.handleUnaryCall<_swarmcut_TaskRequest__Output, _swarmcut_Empty>;
  
  ReleaseRestored: grpc.handleUnaryCall<_swarmcut_ContainerRequest__Output, _swarmcut_Empty>;
  
  Remove: grpc.handleUnaryCall<_swarmcut_RemoveRequest__Output, _swarmcut_Empty>;
  
  RequestCertificate: grpc.handleUnaryCall<_swarmcut_Empty__Output, _swarmcut_CertificateRequest>;
  
  Restore: grpc.handleUnaryCall<_swarmcut_RestoreTaskRequest__Output, _swarmcut_RestoreTaskReply>;
  
  Resume: grpc.handleUnaryCall<_swarmcut_AbortRestoreRequest__Output, _swarmcut_Empty>;
  
  Retire: grpc.handleUnaryCall<_swarmcut_ContainerRequest__Output, _swarmcut_Empty>;
  
  Rewrite: grpc.handleUnaryCall<_swarmcut_RewriteRequest__Output, _swarmcut_Empty>;
  
  Sidecars: grpc.handleUnaryCall<_swarmcut_StackRequest__Output, _swarmcut_SidecarsReply>;
  
  Stage: grpc.handleUnaryCall<_swarmcut_StageRequest__Output, _swarmcut_StageReply>;
  
  Suspend: grpc.handleUnaryCall<_swarmcut_SuspendRequest__Output, _swarmcut_Empty>;
  
  TakeOver: grpc.handleUnaryCall<_swarmcut_TakeOverRequest__Output, _swarmcut_Empty>;
  
  Trust: grpc.handleUnaryCall<_swarmcut_TrustRequest__Output, _swarmcut_Empty>;
  
  Verify: grpc.handleUnaryCall<_swarmcut_VerifyRequest__Output, _swarmcut_VerifyReply>;
  
  WatchRestore: grpc.handleServerStreamingCall<_swarmcut_RestoreRequest__Output, _swarmcut_RestoreEvent>;
  
}

export interface AgentDefinition extends grpc.ServiceDefinition {
  Abort: MethodDefinition<_swarmcut_AbortRequest, _swarmcut_Empty, _swarmcut_AbortRequest__Output, _swarmcut_Empty__Output>
  AbortRestore: MethodDefinition<_swarmcut_AbortRestoreRequest, _swarmcut_Empty, _swarmcut_AbortRestoreRequest__Output, _swarmcut_Empty__Output>
  Attach: MethodDefinition<_swarmcut_AttachRequest, _swarmcut_AttachReply, _swarmcut_AttachRequest__Output, _swarmcut_AttachReply__Output>
  Collect: MethodDefinition<_swarmcut_CollectRequest, _swarmcut_TaskCheckpoint, _swarmcut_CollectRequest__Output, _swarmcut_TaskCheckpoint__Output>
  Connections: MethodDefinition<_swarmcut_ContainerRequest, _swarmcut_ConnectionsReply, _swarmcut_ContainerRequest__Output, _swarmcut_ConnectionsReply__Output>
  Cut: MethodDefinition<_swarmcut_CutRequest, _swarmcut_CutReply, _swarmcut_CutRequest__Output, _swarmcut_CutReply__Output>
  Detach: MethodDefinition<_swarmcut_StackRequest, _swarmcut_Empty, _swarmcut_StackRequest__Output, _swarmcut_Empty__Output>
  EndRestore: MethodDefinition<_swarmcut_RestoreRequest, _swarmcut_Empty, _swarmcut_RestoreRequest__Output, _swarmcut_Empty__Output>
  Expect: MethodDefinition<_swarmcut_ExpectRequest, _swarmcut_Empty, _swarmcut_ExpectRequest__Output, _swarmcut_Empty__Output>
  Fetch: MethodDefinition<_swarmcut_FetchRequest, _swarmcut_Chunk, _swarmcut_FetchRequest__Output, _swarmcut_Chunk__Output>
  Finish: MethodDefinition<_swarmcut_SnapshotRequest, _swarmcut_Empty, _swarmcut_SnapshotRequest__Output, _swarmcut_Empty__Output>
  Identity: MethodDefinition<_swarmcut_Empty, _swarmcut_IdentityReply, _swarmcut_Empty__Output, _swarmcut_IdentityReply__Output>
  Info: MethodDefinition<_swarmcut_InfoRequest, _swarmcut_InfoReply, _swarmcut_InfoRequest__Output, _swarmcut_InfoReply__Output>
  InstallCertificate: MethodDefinition<_swarmcut_InstallCertificateRequest, _swarmcut_Empty, _swarmcut_InstallCertificateRequest__Output, _swarmcut_Empty__Output>
  Keep: MethodDefinition<_swarmcut_KeepRequest, _swarmcut_Empty, _swarmcut_KeepRequest__Output, _swarmcut_Empty__Output>
  KeepManifest: MethodDefinition<_swarmcut_SealedManifest, _swarmcut_Empty, _swarmcut_SealedManifest__Output, _swarmcut_Empty__Output>
  Leftovers: MethodDefinition<_swarmcut_LeftoversRequest, _swarmcut_LeftoversReply, _swarmcut_LeftoversRequest__Output, _swarmcut_LeftoversReply__Output>
  ListRestores: MethodDefinition<_swarmcut_Empty, _swarmcut_ListRestoresReply, _swarmcut_Empty__Output, _swarmcut_ListRestoresReply__Output>
  ListSnapshots: MethodDefinition<_swarmcut_Empty, _swarmcut_ListSnapshotsReply, _swarmcut_Empty__Output, _swarmcut_ListSnapshotsReply__Output>
  Look: MethodDefinition<_swarmcut_LookRequest, _swarmcut_LookReply, _swarmcut_LookRequest__Output, _swarmcut_LookReply__Output>
  Manifest: MethodDefinition<_swarmcut_SnapshotRequest, _swarmcut_SealedManifest, _swarmcut_SnapshotRequest__Output, _swarmcut_SealedManifest__Output>
  Pass: MethodDefinition<_swarmcut_ContainerRequest, _swarmcut_Empty, _swarmcut_ContainerRequest__Output, _swarmcut_Empty__Output>
  Prepare: MethodDefinition<_swarmcut_PrepareRequest, _swarmcut_Empty, _swarmcut_PrepareRequest__Output, _swarmcut_Empty__Output>
  PrepareRetirement: MethodDefinition<_swarmcut_PrepareRetirementRequest, _swarmcut_Empty, _swarmcut_PrepareRetirementRequest__Output, _swarmcut_Empty__Output>
  Preserve: MethodDefinition<_swarmcut_SnapshotRequest, _swarmcut_PreserveReply, _swarmcut_SnapshotRequest__Output, _swarmcut_PreserveReply__Output>
  Progress: MethodDefinition<_swarmcut_ProgressRequest, _swarmcut_ProgressReply, _swarmcut_ProgressRequest__Output, _swarmcut_ProgressReply__Output>
  Recorded: MethodDefinition<_swarmcut_SnapshotRequest, _swarmcut_RecordedReply, _swarmcut_SnapshotRequest__Output, _swarmcut_RecordedReply__Output>
  Release: MethodDefinition<_swarmcut_TaskRequest, _swarmcut_Empty, _swarmcut_TaskRequest__Output, _swarmcut_Empty__Output>
  ReleaseRestored: MethodDefinition<_swarmcut_ContainerRequest, _swarmcut_Empty, _swarmcut_ContainerRequest__Output, _swarmcut_Empty__Output>
  Remove: MethodDefinition<_swarmcut_RemoveRequest, _swarmcut_Empty, _swarmcut_RemoveRequest__Output, _swarmcut_Empty__Output>
  RequestCertificate: MethodDefinition<_swarmcut_Empty, _swarmcut_CertificateRequest, _swarmcut_Empty__Output, _swarmcut_CertificateRequest__Output>
  Restore: MethodDefinition<_swarmcut_RestoreTaskRequest, _swarmcut_RestoreTaskReply, _swarmcut_RestoreTaskRequest__Output, _swarmcut_RestoreTaskReply__Output>
  Resume: MethodDefinition<_swarmcut_AbortRestoreRequest, _swarmcut_Empty, _swarmcut_AbortRestoreRequest__Output, _swarmcut_Empty__Output>
  Retire: MethodDefinition<_swarmcut_ContainerRequest, _swarmcut_Empty, _swarmcut_ContainerRequest__Output, _swarmcut_Empty__Output>
  Rewrite: MethodDefinition<_swarmcut_RewriteRequest, _swarmcut_Empty, _swarmcut_RewriteRequest__Output, _swarmcut_Empty__Output>
  Sidecars: MethodDefinition<_swarmcut_StackRequest, _swarmcut_SidecarsReply, _swarmcut_StackRequest__Output, _swarmcut_SidecarsReply__Output>
  Stage: MethodDefinition<_swarmcut_StageRequest, _swarmcut_StageReply, _swarmcut_StageRequest__Output, _swarmcut_StageReply__Output>
  Suspend: MethodDefinition<_swarmcut_SuspendRequest, _swarmcut_Empty, _swarmcut_SuspendRequest__Output, _swarmcut_Empty__Output>
  TakeOver: MethodDefinition<_swarmcut_TakeOverRequest, _swarmcut_Empty, _swarmcut_TakeOverRequest__Output, _swarmcut_Empty__Output>
  Trust: MethodDefinition<_swarmcut_TrustRequest, _swarmcut_Empty, _swarmcut_TrustRequest__Output, _swarmcut_Empty__Output>
  Verify: MethodDefinition<_swarmcut_VerifyRequest, _swarmcut_VerifyReply, _swarmcut_VerifyRequest__Output, _swarmcut_VerifyReply__Output>
  WatchRestore: MethodDefinition<_swarmcut_RestoreRequest, _swarmcut_RestoreEvent, _swarmcut_RestoreRequest__Output, _swarmcut_RestoreEvent__Output>
}
