/** What a run counts. Times in microseconds of simulated time, sizes in bytes. */
export interface Metrics {
  events: number;
  messages: number;
  messageBytes: number;
  /** Packets dropped by an interceptor, lost, or sent again (kernel interceptor). */
  retransmissions: number;
  roundsStarted: number;
  roundsCommitted: number;
  roundsAborted: number;
  /** Cuts that the check before the commit refused. */
  cutsRefused: number;
  /** Sum over committed rounds: from `begin` until committed. */
  roundTimeUs: number;
  controlMessages: number;
  controlBytes: number;
  piggybackBytes: number;
  /** Messages and determinants written to a log (volatile or stable), and bytes recorded as channel states. */
  loggedBytes: number;
  recordedBytes: number;
  recordedMessages: number;
  checkpoints: number;
  forcedCheckpoints: number;
  uselessCheckpoints: number;
  /** Highest sum of checkpoints and logs kept at one time. */
  peakStorageBytes: number;
  crashes: number;
  agentCrashes: number;
  /** Dead man's switches that let a process go because its agent did not. */
  switchesFired: number;
  /** Connections that ended and were made anew. */
  reconnects: number;
  recoveries: number;
  /** Sum over failures: processes that went back. */
  processesRolledBack: number;
  /** Sum over processes that went back: simulated time that was lost. */
  lostWorkUs: number;
  /** Sum over processes that went back: checkpoints passed over (1: the last one was used). */
  rollbackCheckpoints: number;
  maxRollbackCheckpoints: number;
  /** Sum over failures: from the crash until everybody works again. */
  recoveryTimeUs: number;
}

export function newMetrics(): Metrics {
  return {
    events: 0,
    messages: 0,
    messageBytes: 0,
    retransmissions: 0,
    roundsStarted: 0,
    roundsCommitted: 0,
    roundsAborted: 0,
    cutsRefused: 0,
    roundTimeUs: 0,
    controlMessages: 0,
    controlBytes: 0,
    piggybackBytes: 0,
    loggedBytes: 0,
    recordedBytes: 0,
    recordedMessages: 0,
    checkpoints: 0,
    forcedCheckpoints: 0,
    uselessCheckpoints: 0,
    peakStorageBytes: 0,
    crashes: 0,
    agentCrashes: 0,
    switchesFired: 0,
    reconnects: 0,
    recoveries: 0,
    processesRolledBack: 0,
    lostWorkUs: 0,
    rollbackCheckpoints: 0,
    maxRollbackCheckpoints: 0,
    recoveryTimeUs: 0,
  };
}

/** A control message (gRPC, mutual TLS) is about this long on the wire. */
export const CONTROL_BYTES = 200;
/** A marker frame: type, length, epoch. */
export const MARKER_BYTES = 9;
