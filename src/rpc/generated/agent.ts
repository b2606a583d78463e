import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { AbortRequest as _swarmcut_AbortRequest, AbortRequest__Output as _swarmcut_AbortRequest__Output } from './swarmcut/AbortRequest.ts';
import type { AbortRestoreRequest as _swarmcut_AbortRestoreRequest, AbortRestoreRequest__Output as _swarmcut_AbortRestoreRequest__Output } from './swarmcut/AbortRestoreRequest.ts';
import type { AgentClient as _swarmcut_AgentClient, AgentDefinition as _swarmcut_AgentDefinition } from './swarmcut/Agent.ts';
import type { Alias as _swarmcut_Alias, Alias__Output as _swarmcut_Alias__Output } from './swarmcut/Alias.ts';
import type { AttachReply as _swarmcut_AttachReply, AttachReply__Output as _swarmcut_AttachReply__Output } from './swarmcut/AttachReply.ts';
import type { AttachRequest as _swarmcut_AttachRequest, AttachRequest__Output as _swarmcut_AttachRequest__Output } from './swarmcut/AttachRequest.ts';
import type { BoundSocket as _swarmcut_BoundSocket, BoundSocket__Output as _swarmcut_BoundSocket__Output } from './swarmcut/BoundSocket.ts';
import type { CallProgress as _swarmcut_CallProgress, CallProgress__Output as _swarmcut_CallProgress__Output } from './swarmcut/CallProgress.ts';
import type { CertificateRequest as _swarmcut_CertificateRequest, CertificateRequest__Output as _swarmcut_CertificateRequest__Output } from './swarmcut/CertificateRequest.ts';
import type { Check as _swarmcut_Check, Check__Output as _swarmcut_Check__Output } from './swarmcut/Check.ts';
import type { Chunk as _swarmcut_Chunk, Chunk__Output as _swarmcut_Chunk__Output } from './swarmcut/Chunk.ts';
import type { CollectRequest as _swarmcut_CollectRequest, CollectRequest__Output as _swarmcut_CollectRequest__Output } from './swarmcut/CollectRequest.ts';
import type { Connection as _swarmcut_Connection, Connection__Output as _swarmcut_Connection__Output } from './swarmcut/Connection.ts';
import type { ConnectionsReply as _swarmcut_ConnectionsReply, ConnectionsReply__Output as _swarmcut_ConnectionsReply__Output } from './swarmcut/ConnectionsReply.ts';
import type { ContainerRequest as _swarmcut_ContainerRequest, ContainerRequest__Output as _swarmcut_ContainerRequest__Output } from './swarmcut/ContainerRequest.ts';
import type { CutReply as _swarmcut_CutReply, CutReply__Output as _swarmcut_CutReply__Output } from './swarmcut/CutReply.ts';
import type { CutRequest as _swarmcut_CutRequest, CutRequest__Output as _swarmcut_CutRequest__Output } from './swarmcut/CutRequest.ts';
import type { DatagramSocket as _swarmcut_DatagramSocket, DatagramSocket__Output as _swarmcut_DatagramSocket__Output } from './swarmcut/DatagramSocket.ts';
import type { DumpTimes as _swarmcut_DumpTimes, DumpTimes__Output as _swarmcut_DumpTimes__Output } from './swarmcut/DumpTimes.ts';
import type { Empty as _swarmcut_Empty, Empty__Output as _swarmcut_Empty__Output } from './swarmcut/Empty.ts';
import type { Endpoint as _swarmcut_Endpoint, Endpoint__Output as _swarmcut_Endpoint__Output } from './swarmcut/Endpoint.ts';
import type { ExpectRequest as _swarmcut_ExpectRequest, ExpectRequest__Output as _swarmcut_ExpectRequest__Output } from './swarmcut/ExpectRequest.ts';
import type { FetchRequest as _swarmcut_FetchRequest, FetchRequest__Output as _swarmcut_FetchRequest__Output } from './swarmcut/FetchRequest.ts';
import type { FetchTicket as _swarmcut_FetchTicket, FetchTicket__Output as _swarmcut_FetchTicket__Output } from './swarmcut/FetchTicket.ts';
import type { FormerAddress as _swarmcut_FormerAddress, FormerAddress__Output as _swarmcut_FormerAddress__Output } from './swarmcut/FormerAddress.ts';
import type { IdentityReply as _swarmcut_IdentityReply, IdentityReply__Output as _swarmcut_IdentityReply__Output } from './swarmcut/IdentityReply.ts';
import type { InfoReply as _swarmcut_InfoReply, InfoReply__Output as _swarmcut_InfoReply__Output } from './swarmcut/InfoReply.ts';
import type { InfoRequest as _swarmcut_InfoRequest, InfoRequest__Output as _swarmcut_InfoRequest__Output } from './swarmcut/InfoRequest.ts';
import type { InstallCertificateRequest as _swarmcut_InstallCertificateRequest, InstallCertificateRequest__Output as _swarmcut_InstallCertificateRequest__Output } from './swarmcut/InstallCertificateRequest.ts';
import type { KeepRequest as _swarmcut_KeepRequest, KeepRequest__Output as _swarmcut_KeepRequest__Output } from './swarmcut/KeepRequest.ts';
import type { Leftover as _swarmcut_Leftover, Leftover__Output as _swarmcut_Leftover__Output } from './swarmcut/Leftover.ts';
import type { LeftoversReply as _swarmcut_LeftoversReply, LeftoversReply__Output as _swarmcut_LeftoversReply__Output } from './swarmcut/LeftoversReply.ts';
import type { LeftoversRequest as _swarmcut_LeftoversRequest, LeftoversRequest__Output as _swarmcut_LeftoversRequest__Output } from './swarmcut/LeftoversRequest.ts';
import type { ListRestoresReply as _swarmcut_ListRestoresReply, ListRestoresReply__Output as _swarmcut_ListRestoresReply__Output } from './swarmcut/ListRestoresReply.ts';
import type { ListSnapshotsReply as _swarmcut_ListSnapshotsReply, ListSnapshotsReply__Output as _swarmcut_ListSnapshotsReply__Output } from './swarmcut/ListSnapshotsReply.ts';
import type { LookReply as _swarmcut_LookReply, LookReply__Output as _swarmcut_LookReply__Output } from './swarmcut/LookReply.ts';
import type { LookRequest as _swarmcut_LookRequest, LookRequest__Output as _swarmcut_LookRequest__Output } from './swarmcut/LookRequest.ts';
import type { NetworkPlan as _swarmcut_NetworkPlan, NetworkPlan__Output as _swarmcut_NetworkPlan__Output } from './swarmcut/NetworkPlan.ts';
import type { Obstacle as _swarmcut_Obstacle, Obstacle__Output as _swarmcut_Obstacle__Output } from './swarmcut/Obstacle.ts';
import type { Part as _swarmcut_Part, Part__Output as _swarmcut_Part__Output } from './swarmcut/Part.ts';
import type { PartEncryption as _swarmcut_PartEncryption, PartEncryption__Output as _swarmcut_PartEncryption__Output } from './swarmcut/PartEncryption.ts';
import type { PrepareRequest as _swarmcut_PrepareRequest, PrepareRequest__Output as _swarmcut_PrepareRequest__Output } from './swarmcut/PrepareRequest.ts';
import type { PrepareRetirementRequest as _swarmcut_PrepareRetirementRequest, PrepareRetirementRequest__Output as _swarmcut_PrepareRetirementRequest__Output } from './swarmcut/PrepareRetirementRequest.ts';
import type { PreserveReply as _swarmcut_PreserveReply, PreserveReply__Output as _swarmcut_PreserveReply__Output } from './swarmcut/PreserveReply.ts';
import type { Process as _swarmcut_Process, Process__Output as _swarmcut_Process__Output } from './swarmcut/Process.ts';
import type { ProgressReply as _swarmcut_ProgressReply, ProgressReply__Output as _swarmcut_ProgressReply__Output } from './swarmcut/ProgressReply.ts';
import type { ProgressRequest as _swarmcut_ProgressRequest, ProgressRequest__Output as _swarmcut_ProgressRequest__Output } from './swarmcut/ProgressRequest.ts';
import type { ProxyPlan as _swarmcut_ProxyPlan, ProxyPlan__Output as _swarmcut_ProxyPlan__Output } from './swarmcut/ProxyPlan.ts';
import type { RecordedReply as _swarmcut_RecordedReply, RecordedReply__Output as _swarmcut_RecordedReply__Output } from './swarmcut/RecordedReply.ts';
import type { Removal as _swarmcut_Removal, Removal__Output as _swarmcut_Removal__Output } from './swarmcut/Removal.ts';
import type { RemoveRequest as _swarmcut_RemoveRequest, RemoveRequest__Output as _swarmcut_RemoveRequest__Output } from './swarmcut/RemoveRequest.ts';
import type { RestoreEvent as _swarmcut_RestoreEvent, RestoreEvent__Output as _swarmcut_RestoreEvent__Output } from './swarmcut/RestoreEvent.ts';
import type { RestoreRequest as _swarmcut_RestoreRequest, RestoreRequest__Output as _swarmcut_RestoreRequest__Output } from './swarmcut/RestoreRequest.ts';
import type { RestoreTaskReply as _swarmcut_RestoreTaskReply, RestoreTaskReply__Output as _swarmcut_RestoreTaskReply__Output } from './swarmcut/RestoreTaskReply.ts';
import type { RestoreTaskRequest as _swarmcut_RestoreTaskRequest, RestoreTaskRequest__Output as _swarmcut_RestoreTaskRequest__Output } from './swarmcut/RestoreTaskRequest.ts';
import type { RewriteEntry as _swarmcut_RewriteEntry, RewriteEntry__Output as _swarmcut_RewriteEntry__Output } from './swarmcut/RewriteEntry.ts';
import type { RewriteRequest as _swarmcut_RewriteRequest, RewriteRequest__Output as _swarmcut_RewriteRequest__Output } from './swarmcut/RewriteRequest.ts';
import type { SealedManifest as _swarmcut_SealedManifest, SealedManifest__Output as _swarmcut_SealedManifest__Output } from './swarmcut/SealedManifest.ts';
import type { Sidecar as _swarmcut_Sidecar, Sidecar__Output as _swarmcut_Sidecar__Output } from './swarmcut/Sidecar.ts';
import type { SidecarsReply as _swarmcut_SidecarsReply, SidecarsReply__Output as _swarmcut_SidecarsReply__Output } from './swarmcut/SidecarsReply.ts';
import type { SnapshotRequest as _swarmcut_SnapshotRequest, SnapshotRequest__Output as _swarmcut_SnapshotRequest__Output } from './swarmcut/SnapshotRequest.ts';
import type { Source as _swarmcut_Source, Source__Output as _swarmcut_Source__Output } from './swarmcut/Source.ts';
import type { StackRequest as _swarmcut_StackRequest, StackRequest__Output as _swarmcut_StackRequest__Output } from './swarmcut/StackRequest.ts';
import type { StageReply as _swarmcut_StageReply, StageReply__Output as _swarmcut_StageReply__Output } from './swarmcut/StageReply.ts';
import type { StageRequest as _swarmcut_StageRequest, StageRequest__Output as _swarmcut_StageRequest__Output } from './swarmcut/StageRequest.ts';
import type { StreamCut as _swarmcut_StreamCut, StreamCut__Output as _swarmcut_StreamCut__Output } from './swarmcut/StreamCut.ts';
import type { StreamPlan as _swarmcut_StreamPlan, StreamPlan__Output as _swarmcut_StreamPlan__Output } from './swarmcut/StreamPlan.ts';
import type { SuspendRequest as _swarmcut_SuspendRequest, SuspendRequest__Output as _swarmcut_SuspendRequest__Output } from './swarmcut/SuspendRequest.ts';
import type { TakeOverRequest as _swarmcut_TakeOverRequest, TakeOverRequest__Output as _swarmcut_TakeOverRequest__Output } from './swarmcut/TakeOverRequest.ts';
import type { TaskCheckpoint as _swarmcut_TaskCheckpoint, TaskCheckpoint__Output as _swarmcut_TaskCheckpoint__Output } from './swarmcut/TaskCheckpoint.ts';
import type { TaskRef as _swarmcut_TaskRef, TaskRef__Output as _swarmcut_TaskRef__Output } from './swarmcut/TaskRef.ts';
import type { TaskRequest as _swarmcut_TaskRequest, TaskRequest__Output as _swarmcut_TaskRequest__Output } from './swarmcut/TaskRequest.ts';
import type { TrustRequest as _swarmcut_TrustRequest, TrustRequest__Output as _swarmcut_TrustRequest__Output } from './swarmcut/TrustRequest.ts';
import type { UnsentMark as _swarmcut_UnsentMark, UnsentMark__Output as _swarmcut_UnsentMark__Output } from './swarmcut/UnsentMark.ts';
import type { VerifyReply as _swarmcut_VerifyReply, VerifyReply__Output as _swarmcut_VerifyReply__Output } from './swarmcut/VerifyReply.ts';
import type { VerifyRequest as _swarmcut_VerifyRequest, VerifyRequest__Output as _swarmcut_VerifyRequest__Output } from './swarmcut/VerifyRequest.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  swarmcut: {
    AbortRequest: MessageTypeDefinition<_swarmcut_AbortRequest, _swarmcut_AbortRequest__Output>
    AbortRestoreRequest: MessageTypeDefinition<_swarmcut_AbortRestoreRequest, _swarmcut_AbortRestoreRequest__Output>
    Agent: SubtypeConstructor<typeof grpc.Client, _swarmcut_AgentClient> & { service: _swarmcut_AgentDefinition }
    Alias: MessageTypeDefinition<_swarmcut_Alias, _swarmcut_Alias__Output>
    AttachReply: MessageTypeDefinition<_swarmcut_AttachReply, _swarmcut_AttachReply__Output>
    AttachRequest: MessageTypeDefinition<_swarmcut_AttachRequest, _swarmcut_AttachRequest__Output>
    BoundSocket: MessageTypeDefinition<_swarmcut_BoundSocket, _swarmcut_BoundSocket__Output>
    CallProgress: MessageTypeDefinition<_swarmcut_CallProgress, _swarmcut_CallProgress__Output>
    CertificateRequest: MessageTypeDefinition<_swarmcut_CertificateRequest, _swarmcut_CertificateRequest__Output>
    Check: MessageTypeDefinition<_swarmcut_Check, _swarmcut_Check__Output>
    Chunk: MessageTypeDefinition<_swarmcut_Chunk, _swarmcut_Chunk__Output>
    CollectRequest: MessageTypeDefinition<_swarmcut_CollectRequest, _swarmcut_CollectRequest__Output>
    Connection: MessageTypeDefinition<_swarmcut_Connection, _swarmcut_Connection__Output>
    ConnectionsReply: MessageTypeDefinition<_swarmcut_ConnectionsReply, _swarmcut_ConnectionsReply__Output>
    ContainerRequest: MessageTypeDefinition<_swarmcut_ContainerRequest, _swarmcut_ContainerRequest__Output>
    CutReply: MessageTypeDefinition<_swarmcut_CutReply, _swarmcut_CutReply__Output>
    CutRequest: MessageTypeDefinition<_swarmcut_CutRequest, _swarmcut_CutRequest__Output>
    DatagramSocket: MessageTypeDefinition<_swarmcut_DatagramSocket, _swarmcut_DatagramSocket__Output>
    DumpTimes: MessageTypeDefinition<_swarmcut_DumpTimes, _swarmcut_DumpTimes__Output>
    Empty: MessageTypeDefinition<_swarmcut_Empty, _swarmcut_Empty__Output>
    Endpoint: MessageTypeDefinition<_swarmcut_Endpoint, _swarmcut_Endpoint__Output>
    ExpectRequest: MessageTypeDefinition<_swarmcut_ExpectRequest, _swarmcut_ExpectRequest__Output>
    FetchRequest: MessageTypeDefinition<_swarmcut_FetchRequest, _swarmcut_FetchRequest__Output>
    FetchTicket: MessageTypeDefinition<_swarmcut_FetchTicket, _swarmcut_FetchTicket__Output>
    FormerAddress: MessageTypeDefinition<_swarmcut_FormerAddress, _swarmcut_FormerAddress__Output>
    IdentityReply: MessageTypeDefinition<_swarmcut_IdentityReply, _swarmcut_IdentityReply__Output>
    InfoReply: MessageTypeDefinition<_swarmcut_InfoReply, _swarmcut_InfoReply__Output>
    InfoRequest: MessageTypeDefinition<_swarmcut_InfoRequest, _swarmcut_InfoRequest__Output>
    InstallCertificateRequest: MessageTypeDefinition<_swarmcut_InstallCertificateRequest, _swarmcut_InstallCertificateRequest__Output>
    KeepRequest: MessageTypeDefinition<_swarmcut_KeepRequest, _swarmcut_KeepRequest__Output>
    Leftover: MessageTypeDefinition<_swarmcut_Leftover, _swarmcut_Leftover__Output>
    LeftoversReply: MessageTypeDefinition<_swarmcut_LeftoversReply, _swarmcut_LeftoversReply__Output>
    LeftoversRequest: MessageTypeDefinition<_swarmcut_LeftoversRequest, _swarmcut_LeftoversRequest__Output>
    ListRestoresReply: MessageTypeDefinition<_swarmcut_ListRestoresReply, _swarmcut_ListRestoresReply__Output>
    ListSnapshotsReply: MessageTypeDefinition<_swarmcut_ListSnapshotsReply, _swarmcut_ListSnapshotsReply__Output>
    LookReply: MessageTypeDefinition<_swarmcut_LookReply, _swarmcut_LookReply__Output>
    LookRequest: MessageTypeDefinition<_swarmcut_LookRequest, _swarmcut_LookRequest__Output>
    NetworkPlan: MessageTypeDefinition<_swarmcut_NetworkPlan, _swarmcut_NetworkPlan__Output>
    Obstacle: MessageTypeDefinition<_swarmcut_Obstacle, _swarmcut_Obstacle__Output>
    Part: MessageTypeDefinition<_swarmcut_Part, _swarmcut_Part__Output>
    PartEncryption: MessageTypeDefinition<_swarmcut_PartEncryption, _swarmcut_PartEncryption__Output>
    PrepareRequest: MessageTypeDefinition<_swarmcut_PrepareRequest, _swarmcut_PrepareRequest__Output>
    PrepareRetirementRequest: MessageTypeDefinition<_swarmcut_PrepareRetirementRequest, _swarmcut_PrepareRetirementRequest__Output>
    PreserveReply: MessageTypeDefinition<_swarmcut_PreserveReply, _swarmcut_PreserveReply__Output>
    Process: MessageTypeDefinition<_swarmcut_Process, _swarmcut_Process__Output>
    ProgressReply: MessageTypeDefinition<_swarmcut_ProgressReply, _swarmcut_ProgressReply__Output>
    ProgressRequest: MessageTypeDefinition<_swarmcut_ProgressRequest, _swarmcut_ProgressRequest__Output>
    ProxyPlan: MessageTypeDefinition<_swarmcut_ProxyPlan, _swarmcut_ProxyPlan__Output>
    RecordedReply: MessageTypeDefinition<_swarmcut_RecordedReply, _swarmcut_RecordedReply__Output>
    Removal: MessageTypeDefinition<_swarmcut_Removal, _swarmcut_Removal__Output>
    RemoveRequest: MessageTypeDefinition<_swarmcut_RemoveRequest, _swarmcut_RemoveRequest__Output>
    RestoreEvent: MessageTypeDefinition<_swarmcut_RestoreEvent, _swarmcut_RestoreEvent__Output>
    RestoreRequest: MessageTypeDefinition<_swarmcut_RestoreRequest, _swarmcut_RestoreRequest__Output>
    RestoreTaskReply: MessageTypeDefinition<_swarmcut_RestoreTaskReply, _swarmcut_RestoreTaskReply__Output>
    RestoreTaskRequest: MessageTypeDefinition<_swarmcut_RestoreTaskRequest, _swarmcut_RestoreTaskRequest__Output>
    RewriteEntry: MessageTypeDefinition<_swarmcut_RewriteEntry, _swarmcut_RewriteEntry__Output>
    RewriteRequest: MessageTypeDefinition<_swarmcut_RewriteRequest, _swarmcut_RewriteRequest__Output>
    SealedManifest: MessageTypeDefinition<_swarmcut_SealedManifest, _swarmcut_SealedManifest__Output>
    Sidecar: MessageTypeDefinition<_swarmcut_Sidecar, _swarmcut_Sidecar__Output>
    SidecarsReply: MessageTypeDefinition<_swarmcut_SidecarsReply, _swarmcut_SidecarsReply__Output>
    SnapshotRequest: MessageTypeDefinition<_swarmcut_SnapshotRequest, _swarmcut_SnapshotRequest__Output>
    Source: MessageTypeDefinition<_swarmcut_Source, _swarmcut_Source__Output>
    StackRequest: MessageTypeDefinition<_swarmcut_StackRequest, _swarmcut_StackRequest__Output>
    StageReply: MessageTypeDefinition<_swarmcut_StageReply, _swarmcut_StageReply__Output>
    StageRequest: MessageTypeDefinition<_swarmcut_StageRequest, _swarmcut_StageRequest__Output>
    StreamCut: MessageTypeDefinition<_swarmcut_StreamCut, _swarmcut_StreamCut__Output>
    StreamPlan: MessageTypeDefinition<_swarmcut_StreamPlan, _swarmcut_StreamPlan__Output>
    SuspendRequest: MessageTypeDefinition<_swarmcut_SuspendRequest, _swarmcut_SuspendRequest__Output>
    TakeOverRequest: MessageTypeDefinition<_swarmcut_TakeOverRequest, _swarmcut_TakeOverRequest__Output>
    TaskCheckpoint: MessageTypeDefinition<_swarmcut_TaskCheckpoint, _swarmcut_TaskCheckpoint__Output>
    TaskRef: MessageTypeDefinition<_swarmcut_TaskRef, _swarmcut_TaskRef__Output>
    TaskRequest: MessageTypeDefinition<_swarmcut_TaskRequest, _swarmcut_TaskRequest__Output>
    TrustRequest: MessageTypeDefinition<_swarmcut_TrustRequest, _swarmcut_TrustRequest__Output>
    UnsentMark: MessageTypeDefinition<_swarmcut_UnsentMark, _swarmcut_UnsentMark__Output>
    VerifyReply: MessageTypeDefinition<_swarmcut_VerifyReply, _swarmcut_VerifyReply__Output>
    VerifyRequest: MessageTypeDefinition<_swarmcut_VerifyRequest, _swarmcut_VerifyRequest__Output>
  }
}

