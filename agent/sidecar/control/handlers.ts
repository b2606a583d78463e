import type { TaskHost } from '../../../src/execution/real-time-executor.ts';
import type { StreamCut } from '../../../src/model/checkpoint.ts';
import type { Caller, Handlers } from '../../../src/rpc/control/method.ts';
import type { SidecarMethods, TaskMethods } from '../../../src/rpc/control/methods.ts';
import { writeRecord, type RecordedStream } from '../../../src/storage/channel-records.ts';
import type { Peers } from '../peers/peers.ts';
import type { Sidecar } from '../sidecar.ts';
import { failPoint } from '../../../src/platform/fail-points.ts';

/** What is controlled. */
export interface Controlled {
  readonly sidecar: Sidecar;
  readonly peers: Peers;
}

/** Answers whoever is connected. @param host does the work of the rounds that are prepared on this connection */
export function sidecarHandlers({ sidecar, peers }: Controlled, host: TaskHost): Handlers<SidecarMethods> {
  const { rounds } = sidecar;
  return {
    status: () => ({ ...sidecar.status(), ...peers.status() }),
    channels: () => sidecar.channels(),
    networkView: (view) => peers.networkView(view),
    block: ({ forMs }) => sidecar.block(forMs),
    release: () => sidecar.release(),
    prepare: (params) => rounds.prepare(params, host),
    start: ({ epoch }) => rounds.start(epoch),
    releaseRound: ({ epoch }) => rounds.release(epoch),
    abort: ({ reason }) => rounds.abort(reason),
    collect: async ({ epoch, folder }) => {
      await failPoint('sidecar.collect');
      const { streams } = await writeRecord(folder, rounds.record(epoch));
      return { streams: streams.map(cutOf) };
    },
    finish: () => rounds.finish(),
    resume: async () => {
      await failPoint('sidecar.resume');
      return sidecar.resume();
    },
  };
}

/** Whoever is at the other end of a connection, as the one that does a round's work. */
export function remoteHost(peer: Caller<TaskMethods>): TaskHost {
  return {
    block: () => peer.call('block'),
    freeze: () => peer.call('freeze'),
    save: (epoch) => peer.call('save', { epoch }),
    advance: (epoch) => peer.call('advance', { epoch }),
    unblock: () => peer.call('unblock'),
    thaw: () => peer.call('thaw'),
    discard: () => peer.call('discard'),
    report: (outcome) => peer.call('report', outcome),
  };
}

/** Without what only the record's files are interested in. */
function cutOf({ at: _at, end: _end, ...cut }: RecordedStream): StreamCut {
  return cut;
}
