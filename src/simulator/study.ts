import type { SimulationConfig } from './world/config.ts';
import { CoordinatedWorld } from './coordinated/world.ts';
import type { Metrics } from './world/measurement/metrics.ts';
import type { World } from './world/world.ts';

/** One line of the comparison. Times in milliseconds of simulated time, sizes in bytes. */
export interface StudyRow {
  readonly algorithm: string;
  readonly processes: number;
  readonly thinkMs: number;
  readonly mtbfSeconds: number;
  readonly seed: number;
  /** How much of the run was done, 0 to 1: less than 1 if it was interrupted. */
  readonly done: number;
  readonly violations: readonly string[];
  readonly events: number;
  readonly messages: number;
  /** Committed rounds; for algorithms without rounds, checkpoints per process. */
  readonly rounds: number;
  readonly roundsAborted: number;
  readonly roundMs: number;
  /** Processes that took part in a committed round, on average; 0 without rounds. */
  readonly participantsPerRound: number;
  readonly checkpoints: number;
  readonly forcedCheckpoints: number;
  /** -1: not counted, the run is too large. */
  readonly uselessCheckpoints: number;
  /** The longest time without a message at process 0 during a round, median of the committed rounds; 0 without rounds. */
  readonly gapMs: number;
  readonly controlMessages: number;
  readonly controlBytes: number;
  readonly piggybackBytesPerMessage: number;
  readonly loggedBytes: number;
  readonly recordedBytes: number;
  readonly blockedMeanMs: number;
  readonly blockedP99Ms: number;
  readonly peakStorageBytes: number;
  readonly crashes: number;
  readonly agentCrashes: number;
  readonly switchesFired: number;
  readonly reconnects: number;
  /** Processes that went back, per failure. */
  readonly rolledBackPerFailure: number;
  readonly lostWorkMsPerFailure: number;
  /** Rollback distance: checkpoints passed over by a process that went back (1: it used its last one). */
  readonly rollbackCheckpointsMean: number;
  readonly rollbackCheckpointsMax: number;
  readonly recoveryMs: number;
}

/** What a finished (or interrupted) run came to. */
export function studyRow(algorithm: string, config: SimulationConfig, world: World): StudyRow {
  const { metrics } = world;
  const blocked = world.processes.map(({ blockedUs }) => blockedUs / 1000).sort((a, b) => a - b);
  const per = (sum: number, count: number): number => (count === 0 ? 0 : sum / count);
  return {
    algorithm,
    processes: config.processes,
    thinkMs: config.thinkMs,
    mtbfSeconds: config.faults.mtbfSeconds,
    seed: config.seed,
    done: world.finished ? 1 : world.progress,
    violations: world.violations,
    events: metrics.events,
    messages: metrics.messages,
    rounds: rounds(metrics, config),
    roundsAborted: metrics.roundsAborted,
    roundMs: per(metrics.roundTimeUs / 1000, metrics.roundsCommitted),
    participantsPerRound: per(metrics.roundsStarted > 0 ? metrics.checkpoints : 0, metrics.roundsCommitted),
    checkpoints: metrics.checkpoints,
    forcedCheckpoints: metrics.forcedCheckpoints,
    uselessCheckpoints: metrics.uselessCheckpoints,
    gapMs: gap(world),
    controlMessages: metrics.controlMessages,
    controlBytes: metrics.controlBytes,
    piggybackBytesPerMessage: per(metrics.piggybackBytes, metrics.messages),
    loggedBytes: metrics.loggedBytes,
    recordedBytes: metrics.recordedBytes,
    blockedMeanMs: per(
      blocked.reduce((sum, ms) => sum + ms, 0),
      blocked.length,
    ),
    blockedP99Ms: blocked[Math.min(blocked.length - 1, Math.floor(blocked.length * 0.99))] ?? 0,
    peakStorageBytes: metrics.peakStorageBytes,
    crashes: metrics.crashes,
    agentCrashes: metrics.agentCrashes,
    switchesFired: metrics.switchesFired,
    reconnects: metrics.reconnects,
    rolledBackPerFailure: per(metrics.processesRolledBack, metrics.recoveries),
    lostWorkMsPerFailure: per(metrics.lostWorkUs / 1000, metrics.recoveries),
    rollbackCheckpointsMean: per(metrics.rollbackCheckpoints, metrics.processesRolledBack),
    rollbackCheckpointsMax: metrics.maxRollbackCheckpoints,
    recoveryMs: per(metrics.recoveryTimeUs / 1000, metrics.recoveries),
  };
}

function gap(world: World): number {
  if (!(world instanceof CoordinatedWorld)) return 0;
  const sorted = [...world.coordinator.silencesUs].sort((a, b) => a - b);
  return (sorted[Math.floor(sorted.length / 2)] ?? 0) / 1000;
}

function rounds(metrics: Metrics, config: SimulationConfig): number {
  return metrics.roundsStarted > 0 ? metrics.roundsCommitted : Math.round(metrics.checkpoints / config.processes);
}
