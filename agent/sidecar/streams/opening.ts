import type { Endpoint } from '../../../src/model/connection.ts';
import { endpointText } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import { pause } from '../../../src/platform/deadlines.ts';
import { callSidecar } from '../peers/call.ts';
import type { Answer } from '../peers/call.ts';
import type { Stream } from './stream.ts';
import type { Streams } from './streams.ts';
import type { Tunnels } from '../sockets/tunnels.ts';

const AGAIN_AFTER_MS = 100;

/**
 * A sidecar that does not answer, or is gone before it has accepted, may be about to be started again. As long as the application is not
 * told, it has sent nothing that could be lost.
 */
const PATIENCE_MS = 10_000;

export interface CallerOptions {
  readonly netns: string;
  readonly key: Uint8Array;
  readonly tunnels: Tunnels;
  readonly log: (message: string, details: object) => void;
  /** Where a connection to this address shall go now: another task for a virtual one. */
  readonly target?: (server: Endpoint) => Endpoint | undefined;
}

/** Offers a connection of our application to the sidecar of `stream.target`, until that has accepted or it is too late. Never rejects. */
export async function openStream(streams: Streams, stream: Stream, options: CallerOptions): Promise<void> {
  await streams.opened(stream.identity, streams.epoch);
  const opening = (): boolean => stream.opening;
  for (let until: number | undefined; opening();) {
    let reason = 'the other sidecar is busy';
    try {
      if (await taken(streams, stream, await offer(streams, stream, options))) return;
    } catch (error) {
      reason = messageOf(error);
    }
    if (!opening()) return;
    stream.announced = false;
    until ??= performance.now() + PATIENCE_MS;
    if (stream.appGone || performance.now() > until) {
      const { client, server } = stream.identity;
      const details = { client: endpointText(client), server: endpointText(server), error: reason };
      if (!stream.appGone) options.log('a connection could not be made', details);
      stream.destroy();
      return;
    }
    await pause(AGAIN_AFTER_MS);
    stream.target = another(stream, options) ?? stream.target;
  }
}

/** Who has not answered may not be the only one behind a virtual address. */
function another({ identity: { server } }: Stream, options: CallerOptions): Endpoint | undefined {
  const chosen = options.target?.(server);
  return chosen?.address === server.address ? undefined : chosen;
}

function offer(streams: Streams, stream: Stream, { netns, key, tunnels }: CallerOptions): Promise<Answer> {
  const { id: streamId, client } = stream.identity;
  return callSidecar({
    netns,
    key,
    tunnels,
    address: stream.target.address,
    offer: async () => {
      await streams.released();
      if (stream.appGone) throw new Error('the application has given up');
      stream.announced = true;
      return { role: 'new', epoch: streams.epoch, streamId, client, server: stream.target, received: 0 };
    },
  });
}

/** @returns false to try again */
async function taken(streams: Streams, stream: Stream, { accept, tunnel, early }: Answer): Promise<boolean> {
  switch (accept.status) {
    case 'accepted':
      // The acceptor may have cut before it accepted: then this acts as its marker.
      await streams.marker(stream, accept.epoch);
      if (stream.opening) stream.open(tunnel, early);
      else tunnel.reset();
      return true;
    case 'refused':
      tunnel.reset();
      stream.refuse();
      return true;
    case 'busy':
    case 'unknown-stream': // it still has what it made of an offer whose answer got lost
      tunnel.reset();
      return false;
  }
}
