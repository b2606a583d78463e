import type { Endpoint } from '../../../src/model/connection.ts';
import { endpointText } from '../../../src/model/connection.ts';
import { messageOf } from '../../../src/model/errors.ts';
import { pause } from '../../../src/platform/deadlines.ts';
import { callSidecar, offerNext } from '../peers/call.ts';
import type { Answer, Offer } from '../peers/call.ts';
import type { Link } from '../sockets/link.ts';
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
    const idle = options.tunnels.take(stream.target.address);
    try {
      if (await taken(streams, stream, await offer(streams, stream, options, idle))) return;
    } catch (error) {
      reason = messageOf(error);
    }
    if (!opening()) return;
    stream.announced = false;
    // It may have been closed meanwhile: then nobody has heard of the stream.
    if (idle && !stream.appGone) continue;
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

/** @param idle a tunnel that is there */
function offer(
  streams: Streams,
  stream: Stream,
  { netns, key, tunnels }: CallerOptions,
  idle: Link | undefined,
): Promise<Answer> {
  const { id: streamId, client } = stream.identity;
  const offered = async (): Promise<Offer> => {
    await streams.released();
    if (stream.appGone) throw new Error('the application has given up');
    stream.announced = true;
    const { target: server } = stream;
    return { role: 'new', epoch: streams.epoch, streamId, client, server, received: 0, reusable: true };
  };
  if (idle) return offerNext(idle, offered);
  return callSidecar({ netns, key, tunnels, address: stream.target.address, offer: offered });
}

/** @returns false to try again */
async function taken(streams: Streams, stream: Stream, { accept, tunnel, early }: Answer): Promise<boolean> {
  switch (accept.status) {
    case 'accepted':
      // The acceptor may have cut before it accepted: then this acts as its marker.
      await streams.marker(stream, accept.epoch);
      if (stream.opening) stream.open(tunnel, early, accept.reusable);
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
